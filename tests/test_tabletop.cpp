// Protects the built-in world: determinism, truthful captions, both looks, every attribute occurring, resumed
// writing.
#include "catch.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include "core/check.h"
#include "core/parallel_for.h"
#include "data/manifest.h"
#include "data/resize.h"
#include "data/tabletop.h"
#include "io/files.h"
#include "threads.h"

using namespace gmail;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> words_of(const std::string& caption) {
  std::istringstream in(caption);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::vector<ObjectMention> truth_of(const Scene& scene) {
  std::vector<ObjectMention> truth;
  for (const Solid& s : scene.solids) truth.push_back({s.colour, s.shape});
  std::sort(truth.begin(), truth.end());
  return truth;
}

// mean difference of two pictures, 0 .. 255
double difference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(static_cast<double>(a.rgb[i]) - b.rgb[i]);
  return sum / static_cast<double>(a.rgb.size());
}

}  // namespace

TEST_CASE("tabletop: a picture depends on seed and index only") {
  TabletopOptions options;
  const Image image = render_tabletop(options, 7);
  CHECK(render_tabletop(options, 8) != image);
  options.count = 3;
  options.first = 5;
  CHECK(render_tabletop(options, 7) == image);
  options.seed = 2;
  CHECK(render_tabletop(options, 7) != image);
  options.seed = 1;
  for (const int threads : {1, 2}) {
    const test::Threads scope(threads);
    std::vector<Image> images(20);
    parallel_for(20, 3, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) images[static_cast<size_t>(i)] = render_tabletop(options, i);
    });
    CHECK(images[7] == image);
    for (int64_t i = 19; i >= 0; --i) CHECK(images[static_cast<size_t>(i)] == render_tabletop(options, i));
  }
}

TEST_CASE("tabletop: captions name what is there") {
  TabletopOptions options;
  std::set<std::string> vocabulary;
  std::map<std::string, int64_t> said;
  for (int64_t i = 0; i < 1000; ++i) {
    const Scene scene = make_scene(options, i);
    const std::vector<std::string> captions = captions_of(scene);
    CHECK(captions == captions_of(scene));
    CHECK(std::set(captions.begin(), captions.end()).size() == 5);
    for (const std::string& caption : captions) {
      const std::vector<std::string> words = words_of(caption);
      CHECK(std::ssize(words) <= kMaxCaptionWords);
      vocabulary.insert(words.begin(), words.end());
      std::vector<ObjectMention> mentions = mentioned(caption);
      std::sort(mentions.begin(), mentions.end());
      CHECK(mentions == truth_of(scene));
      CHECK(same_objects(caption, captions[0]));
      for (const char* what :
           {"left of", "right of", "behind", "in front of", "between", "table", "light", "striped"})
        if (caption.find(what) != std::string::npos) ++said[what];
    }
  }
  CHECK(vocabulary.size() == 48);
  for (const auto& [what, count] : said) {
    INFO(what);
    CHECK(count > 50);
  }
  CHECK(said.size() == 8);
}

TEST_CASE("tabletop: places in captions are true") {
  Scene scene;
  Solid ball, cube;
  ball.x = 0.25;
  cube.shape = SolidShape::cube;
  cube.colour = Colour::orange;
  cube.x = 0.75;
  scene.solids = {ball, cube};
  std::set<std::string> seen;
  for (scene.index = 0; scene.index < 50; ++scene.index)
    for (const std::string& caption : captions_of(scene)) {
      CHECK(caption.find("behind") == std::string::npos);
      CHECK(caption.find("front") == std::string::npos);
      const bool ball_first = mentioned(caption)[0].shape == SolidShape::ball;
      const std::string wrong = ball_first ? "right of" : "left of";
      CHECK(caption.find(wrong) == std::string::npos);
      for (const std::string& right :
           {std::string(ball_first ? "left of" : "right of"), std::string(" and ")})
        if (caption.find(right) != std::string::npos) seen.insert(right);
    }
  CHECK(seen == std::set<std::string>{"left of", "right of", " and "});
  scene.solids[0].x = 0.7;
  scene.solids[0].y = 0.6;
  seen.clear();
  for (scene.index = 0; scene.index < 50; ++scene.index)
    for (const std::string& caption : captions_of(scene)) {
      CHECK(caption.find("left of") == std::string::npos);
      CHECK(caption.find("right of") == std::string::npos);
      const bool ball_first = mentioned(caption)[0].shape == SolidShape::ball;
      if (caption.find("behind") != std::string::npos) seen.insert(ball_first ? "behind" : "false");
      if (caption.find("in front of") != std::string::npos) seen.insert(ball_first ? "false" : "in front of");
    }
  CHECK(seen == std::set<std::string>{"behind", "in front of"});
}

TEST_CASE("tabletop: sentences are read back") {
  CHECK(mentioned("on a green lawn a box, and a Red donut.") ==
        std::vector<ObjectMention>{{std::nullopt, SolidShape::cube}, {Colour::red, SolidShape::ring}});
  CHECK(mentioned("").empty());
  CHECK(mentioned("blue cloth").empty());
  CHECK(same_objects("a red sphere and a blue box", "a small blue cube left of a red ball"));
  CHECK_FALSE(same_objects("a red sphere and a blue box", "a red cube left of a blue ball"));
  CHECK_FALSE(same_objects("a red sphere", "a red ball and a red ball"));
  CHECK_FALSE(same_objects("a sphere", "a red ball"));
}

TEST_CASE("tabletop: every colour, shape, ground and label occurs") {
  TabletopOptions options;
  std::set<std::string> labels;
  std::set<Ground> grounds;
  std::map<size_t, int64_t> counts;
  for (int64_t i = 0; i < 2000; ++i) {
    const Scene scene = make_scene(options, i);
    ++counts[scene.solids.size()];
    grounds.insert(scene.ground);
    CHECK(label_of(scene).empty() == (scene.solids.size() > 1));
    if (scene.solids.size() == 1) labels.insert(label_of(scene));
    CHECK(std::is_sorted(scene.solids.begin(), scene.solids.end(),
                         [](const Solid& a, const Solid& b) { return a.y < b.y; }));
  }
  CHECK(labels.size() == 48);
  CHECK(labels.count("purple cylinder") == 1);
  CHECK(grounds.size() == 4);
  CHECK(counts.size() == 3);
  CHECK(std::abs(static_cast<double>(counts[1]) / 2000 - 0.5) < 0.05);
  options.min_solids = options.max_solids = 2;
  CHECK(make_scene(options, 3).solids.size() == 2);
  options.max_solids = 4;
  CHECK_THROWS_AS(make_scene(options, 3), Error);
}

TEST_CASE("tabletop: the solid is where the scene says, in its colour") {
  for (size_t colour = 0; colour < kColourNames.size(); ++colour) {
    Scene scene;
    Solid solid;
    solid.colour = static_cast<Colour>(colour);
    solid.radius = 0.3;
    scene.solids = {solid};
    const Image image = render(scene, Look::photo, 32);
    const uint8_t* c = image.at(16, 19);  // the ball's middle
    const bool r = c[0] > 110, g = c[1] > 90, b = c[2] > 110;
    INFO(kColourNames[colour] << ": " << int{c[0]} << " " << int{c[1]} << " " << int{c[2]});
    const std::array<std::array<bool, 3>, 8> expected{
        {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}, {1, 0, 1}, {1, 1, 0}, {1, 1, 1}, {0, 0, 0}}};
    CHECK(std::array{r, g, b} == expected[colour]);
  }
}

TEST_CASE("tabletop: the looks differ, sizes agree") {
  TabletopOptions photo, studio;
  studio.look = Look::studio;
  studio.size = photo.size = 64;
  for (int64_t i = 0; i < 20; ++i) {
    const Image a = render_tabletop(photo, i), b = render_tabletop(studio, i);
    CHECK(difference(a, b) > 15);
    for (const uint8_t v : b.rgb) CHECK(v % 51 == 0);  // six tones
    const Scene scene = make_scene(photo, i);
    CHECK(difference(resize(a, 32, 32), render(scene, Look::photo, 32)) < 6);
  }
}

TEST_CASE("tabletop: a data set is written once, continued, and not overwritten by another") {
  const fs::path dir = fs::temp_directory_path() / ("gmail_test_tabletop_" + std::to_string(::getpid()));
  fs::remove_all(dir);
  TabletopOptions options;
  options.count = 9;
  options.first = 100;
  const std::vector<TabletopSplit> splits{{"train", 6}, {"test", 3}};
  int64_t reported = 0;
  write_tabletop(dir, options, splits, [&](int64_t done) { reported = done; });
  CHECK(reported == 9);
  CHECK(read_image(dir / "images/000104.png") == render_tabletop(options, 104));
  const std::string manifest = read_text(dir / "manifest.jsonl");
  const Manifest read = read_manifest(dir / "manifest.jsonl");
  REQUIRE(read.size() == 9);
  for (int64_t i = 0; i < 9; ++i) {
    const Record& record = read[i];
    const Scene scene = make_scene(options, 100 + i);
    CHECK(record.id == "photo-1-" + std::to_string(100 + i));
    CHECK(record.split == (i < 6 ? "train" : "test"));
    CHECK(record.captions == captions_of(scene));
    CHECK_FALSE(record.source.generated);
    CHECK(record.label.value_or("") == label_of(scene));
    CHECK(fs::exists(read.image_path(i)));
  }
  fs::remove(dir / "images/000104.png");
  fs::remove(dir / "manifest.jsonl");
  const auto before = fs::last_write_time(dir / "images/000103.png");
  write_tabletop(dir, options, splits);
  CHECK(read_text(dir / "manifest.jsonl") == manifest);
  CHECK(fs::last_write_time(dir / "images/000103.png") == before);
  CHECK(read_image(dir / "images/000104.png") == render_tabletop(options, 104));
  options.seed = 2;
  CHECK_THROWS_AS(write_tabletop(dir, options, splits), InputError);
  CHECK_THROWS_AS(write_tabletop(dir, options, {{"train", 8}}), InputError);
  fs::remove_all(dir);
}
