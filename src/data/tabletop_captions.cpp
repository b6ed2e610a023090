#include "data/tabletop_captions.h"

#include <algorithm>
#include <cctype>
#include <span>

#include "core/check.h"
#include "core/rng.h"

namespace gmail {
namespace {

struct ShapeWord {
  std::string_view word;
  SolidShape shape;
};
constexpr std::array<ShapeWord, 10> kShapeWords{{{"ball", SolidShape::ball},
                                                 {"sphere", SolidShape::ball},
                                                 {"cube", SolidShape::cube},
                                                 {"box", SolidShape::cube},
                                                 {"block", SolidShape::cube},
                                                 {"cone", SolidShape::cone},
                                                 {"cylinder", SolidShape::cylinder},
                                                 {"ring", SolidShape::ring},
                                                 {"donut", SolidShape::ring},
                                                 {"star", SolidShape::star}}};
struct GroundWords {
  std::string_view adjective, noun;
};
constexpr std::array<GroundWords, 4> kGroundWords{
    {{"wooden", "table"}, {"grey", "floor"}, {"green", "lawn"}, {"blue", "cloth"}}};

// How much farther to one side, or to the back, a solid must be for it to be worth a word; in picture widths.
constexpr double kBeside = 0.2, kBetween = 0.12, kBehind = 0.12, kInLine = 0.35;

using Words = std::vector<std::string>;

void append(Words& words, const Words& more) { words.insert(words.end(), more.begin(), more.end()); }

template <class T>
const T& pick(Rng& rng, std::span<const T> choices) {
  return choices[static_cast<size_t>(rng.below(std::ssize(choices)))];
}
Words pick(Rng& rng, const std::vector<Words>& choices) { return pick(rng, std::span(choices)); }

// "a small shiny red ball"
Words solid_phrase(Rng& rng, const Solid& solid) {
  Words words;
  if (rng.chance(0.5)) {
    const bool plain = rng.chance(0.6);
    words.emplace_back(solid.large ? (plain ? "large" : "big") : (plain ? "small" : "little"));
  }
  if (solid.finish == Finish::matte && rng.chance(0.2)) words.emplace_back("matte");
  if (solid.finish == Finish::shiny && rng.chance(0.6)) words.emplace_back("shiny");
  if (solid.finish == Finish::striped && rng.chance(0.6)) words.emplace_back("striped");
  words.emplace_back(name_of(solid.colour));
  std::vector<std::string_view> names;
  for (const ShapeWord& w : kShapeWords)
    if (w.shape == solid.shape) names.push_back(w.word);
  // half of the time the first name, the canonical one
  words.emplace_back(rng.chance(0.5) ? names.front() : pick(rng, std::span<const std::string_view>(names)));
  words.insert(words.begin(), words.front() == "orange" ? "an" : "a");
  return words;
}

// All ways to say where `a` is, seen from every one of `others`.
std::vector<Words> relations(const Solid& a, std::span<const Solid> others) {
  const auto all = [&](auto&& holds) { return std::all_of(others.begin(), others.end(), holds); };
  const auto in_line = [&](const Solid& b) { return std::abs(a.x - b.x) < kInLine; };
  std::vector<Words> ways;
  if (all([&](const Solid& b) { return b.x - a.x > kBeside; })) {
    ways.push_back({"left", "of"});
    ways.push_back({"to", "the", "left", "of"});
  }
  if (all([&](const Solid& b) { return a.x - b.x > kBeside; })) {
    ways.push_back({"right", "of"});
    ways.push_back({"to", "the", "right", "of"});
  }
  if (all([&](const Solid& b) { return in_line(b) && b.y - a.y > kBehind; })) ways.push_back({"behind"});
  if (all([&](const Solid& b) { return in_line(b) && a.y - b.y > kBehind; }))
    ways.push_back({"in", "front", "of"});
  return ways;
}

bool is_between(const Solid& a, const Solid& b, const Solid& c) {
  const auto [low, high] = std::minmax(b.x, c.x);
  return a.x - low > kBetween && high - a.x > kBetween;
}

// The solids in a random order, and what joins the first to the rest.
Words solids_phrase(Rng& rng, std::vector<Solid> solids) {
  for (size_t i = solids.size() - 1; i > 0; --i)
    std::swap(solids[i], solids[static_cast<size_t>(rng.below(static_cast<int64_t>(i) + 1))]);
  const std::span<const Solid> others = std::span<const Solid>(solids).subspan(1);
  Words words = solid_phrase(rng, solids[0]);
  if (others.empty()) return words;
  std::vector<Words> ways = relations(solids[0], others);
  if (others.size() == 2 && is_between(solids[0], others[0], others[1])) ways = {{"between"}};
  const bool tell = rng.chance(0.75);
  append(words, tell && !ways.empty() ? pick(rng, ways) : Words{"and"});
  append(words, solid_phrase(rng, others[0]));
  for (const Solid& solid : others.subspan(1)) {
    words.emplace_back("and");
    append(words, solid_phrase(rng, solid));
  }
  return words;
}

// "on the wooden table"
Words ground_phrase(Rng& rng, Ground ground) {
  const GroundWords& names = kGroundWords[static_cast<size_t>(ground)];
  Words words{"on", rng.chance(0.5) ? "a" : "the"};
  if (rng.chance(0.6)) words.emplace_back(names.adjective);
  words.emplace_back(names.noun);
  return words;
}

std::string caption_of(Rng& rng, const Scene& scene) {
  Words words = solids_phrase(rng, scene.solids);
  const auto fits = [&](const Words& more) {
    return std::ssize(words) + std::ssize(more) <= kMaxCaptionWords;
  };
  if (rng.chance(0.2)) {
    const Words opening{"there", "is"};
    if (fits(opening)) words.insert(words.begin(), opening.begin(), opening.end());
  }
  if (rng.chance(0.55)) {
    const Words ground = ground_phrase(rng, scene.ground);
    const bool first = rng.chance(0.25);
    if (fits(ground)) words.insert(first ? words.begin() : words.end(), ground.begin(), ground.end());
  }
  if (rng.chance(0.25)) {
    const Words light{"in", "light", "from", "the", scene.light == Side::left ? "left" : "right"};
    if (fits(light)) append(words, light);
  }
  std::string caption;
  for (const std::string& word : words) caption += (caption.empty() ? "" : " ") + word;
  return caption;
}

}  // namespace

std::vector<std::string> captions_of(const Scene& scene, int64_t count) {
  GMAIL_CHECK(!scene.solids.empty() && count >= 0 && count <= 20, "[tabletop] ", count, " captions of ",
              scene.solids.size(), " solids");
  Rng rng(scene.seed, Purpose::world_caption, 0, static_cast<uint64_t>(scene.index));
  std::vector<std::string> captions;
  while (std::ssize(captions) < count) {
    const std::string caption = caption_of(rng, scene);
    if (std::find(captions.begin(), captions.end(), caption) == captions.end()) captions.push_back(caption);
  }
  return captions;
}

std::vector<ObjectMention> mentioned(std::string_view caption) {
  std::vector<ObjectMention> mentions;
  std::optional<Colour> colour;  // the last one said, until a noun takes it
  std::string word;
  const auto take = [&] {
    const auto name = std::find(kColourNames.begin(), kColourNames.end(), word);
    if (name != kColourNames.end()) colour = static_cast<Colour>(name - kColourNames.begin());
    for (const GroundWords& ground : kGroundWords)
      if (word == ground.noun) colour.reset();
    for (const ShapeWord& shape : kShapeWords)
      if (word == shape.word) {
        mentions.push_back({colour, shape.shape});
        colour.reset();
      }
    word.clear();
  };
  for (const char c : caption) {
    if (std::isalpha(static_cast<unsigned char>(c)) == 0)
      take();
    else
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  take();
  return mentions;
}

bool same_objects(std::string_view caption, std::string_view truth) {
  std::vector<ObjectMention> a = mentioned(caption), b = mentioned(truth);
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

}  // namespace gmail
