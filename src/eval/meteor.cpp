#include "eval/meteor.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <unordered_map>

#include "core/check.h"
#include "eval/meteor_align.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;

constexpr double kAlpha = 0.85, kBeta = 0.20, kGamma = 0.60, kDelta = 0.75;
constexpr std::array<double, kMeteorModules> kWeight{1.0, 0.6, 0.8, 0.6};

// What a caption, or its side of a pair, counts.
struct Side {
  double words = 0, function_words = 0;
  std::array<double, kMeteorModules> content{}, function{};  // matched, by module
  [[nodiscard]] double matched() const {
    double sum = 0;
    for (size_t i = 0; i < kMeteorModules; ++i) sum += content[i] + function[i];
    return sum;
  }
  // eq. (1)
  [[nodiscard]] double covered() const {
    double weighted = 0;
    for (size_t i = 0; i < kMeteorModules; ++i)
      weighted += kWeight[i] * (kDelta * content[i] + (1 - kDelta) * function[i]);
    return weighted / (kDelta * (words - function_words) + (1 - kDelta) * function_words);
  }
  void add(const Side& s) {
    words += s.words;
    function_words += s.function_words;
    for (size_t i = 0; i < kMeteorModules; ++i) content[i] += s.content[i], function[i] += s.function[i];
  }
};

struct Counts {
  Side hypothesis, reference;
  double chunks = 0;
  [[nodiscard]] bool perfect() const {
    return hypothesis.matched() == hypothesis.words && reference.matched() == reference.words && chunks == 1;
  }
  [[nodiscard]] double score() const {
    const double matched = (hypothesis.matched() + reference.matched()) / 2;
    if (!(matched > 0)) return 0;
    const double p = hypothesis.covered(), r = reference.covered();
    const double f = 1 / ((1 - kAlpha) / p + kAlpha / r);                           // eq. (2)
    return f * (1 - kGamma * (perfect() ? 0 : std::pow(chunks / matched, kBeta)));  // eq. (3)
  }
  void add(const Counts& c) {
    hypothesis.add(c.hypothesis);
    reference.add(c.reference);
    if (!c.perfect()) chunks += c.chunks;
  }
};

Side measure(const Words& words) {
  Side side;
  side.words = static_cast<double>(words.size());
  return side;
}

Counts compare(const Words& hypothesis, const Words& reference, int beam) {
  MeteorMatches possible(hypothesis.size(), reference.size());
  for (size_t j = 0; j < reference.size(); ++j)
    for (size_t i = 0; i < hypothesis.size(); ++i)
      if (hypothesis[i] == reference[j])
        possible.add({.reference = static_cast<int32_t>(j), .hypothesis = static_cast<int32_t>(i)});
  const std::vector<MeteorMatch> matches = meteor_align(possible, beam);
  Counts counts{measure(hypothesis), measure(reference), static_cast<double>(meteor_chunks(matches))};
  for (const MeteorMatch& m : matches) {
    counts.hypothesis.content[static_cast<size_t>(m.module)] += m.hypothesis_length;
    counts.reference.content[static_cast<size_t>(m.module)] += m.reference_length;
  }
  return counts;
}

}  // namespace

struct Meteor::Modules {
  MeteorOptions options;
};

Meteor::Meteor(const MeteorOptions& options) : modules_(std::make_unique<Modules>(Modules{options})) {
  GMAIL_INPUT(options.beam >= 1, "[meteor] beam: expected at least 1, found ", options.beam);
}
Meteor::~Meteor() = default;
Meteor::Meteor(Meteor&&) noexcept = default;
Meteor& Meteor::operator=(Meteor&&) noexcept = default;

std::string Meteor::name() const { return "METEOR_exact"; }

CaptionScore Meteor::score(const std::vector<CaptionedImage>& images) const {
  GMAIL_INPUT(!images.empty(), "[meteor] there are no captions");
  CaptionScore score;
  Counts corpus;
  for (size_t i = 0; i < images.size(); ++i) {
    GMAIL_INPUT(!images[i].references.empty(), "[meteor] image ", i, " has no reference caption");
    Counts best;
    double best_score = -1;
    for (const Words& reference : images[i].references) {
      const Counts counts = compare(images[i].hypothesis, reference, modules_->options.beam);
      if (!(counts.score() > best_score)) continue;
      best = counts;
      best_score = counts.score();
    }
    score.each.push_back(best_score);
    corpus.add(best);
  }
  score.mean = corpus.score();
  return score;
}

fs::path find_wordnet() {
  std::vector<fs::path> folders;
  if (const char* named = std::getenv("WNSEARCHDIR")) folders.emplace_back(named);
  if (const char* home = std::getenv("WNHOME")) {
    folders.push_back(fs::path(home) / "dict");
    folders.emplace_back(home);
  }
  folders.emplace_back("/usr/share/wordnet");
  for (const fs::path& folder : folders) {
    std::error_code unreadable;
    if (fs::exists(folder / "data.noun", unreadable)) return folder;
  }
  return {};
}

}  // namespace gmail
