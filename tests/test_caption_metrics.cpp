// Protects BLEU, ROUGE-L and CIDEr: values that coco-caption's scorers give on a small set and, image by
// image, on ../shared/data/coco-caption; the edges of each.
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "core/check.h"
#include "eval/caption_metrics.h"
#include "eval/ptb_tokenizer.h"
#include "io/json.h"
#include "words.h"

using namespace gmail;
using namespace gmail::test;

namespace {

CaptionedImage image(const std::string& hypothesis, const std::vector<std::string>& references) {
  CaptionedImage i{caption_words(hypothesis), {}};
  for (const std::string& r : references) i.references.push_back(caption_words(r));
  return i;
}

std::vector<CaptionedImage> small_set() {
  return {image("a train traveling down a track next to a station",
                {"a train traveling down tracks next to lights",
                 "a blue and silver train next to train station and trees"}),
          image("a man riding a wave on a surfboard",
                {"a man riding a wave on top of a surfboard", "a surfer rides a large wave in the ocean"}),
          image("two dogs playing with a ball in the grass",
                {"two dogs play with a red ball", "a pair of dogs playing in the grass with a ball"})};
}

}  // namespace

TEST_CASE("caption_metrics: the small set") {
  const auto set = small_set();
  const Bleu b = bleu(set);
  CHECK(b.score[0] == Approx(0.88888889).epsilon(1e-7));
  CHECK(b.score[1] == Approx(0.76980036).epsilon(1e-7));
  CHECK(b.score[2] == Approx(0.60889485).epsilon(1e-7));
  CHECK(b.score[3] == Approx(0.47326414).epsilon(1e-7));

  const CaptionScore rouge = rouge_l(set);
  CHECK(rouge.mean == Approx(0.73037966).epsilon(1e-7));
  CHECK(rouge.each[0] == Approx(0.6802974).epsilon(1e-6));
  CHECK(rouge.each[1] == Approx(0.87142857).epsilon(1e-7));
  CHECK(rouge.each[2] == Approx(0.639413).epsilon(1e-6));

  const CaptionScore d = cider_d(set);
  CHECK(d.mean == Approx(3.07910075).epsilon(1e-7));
  CHECK(d.each[0] == Approx(2.73430073).epsilon(1e-7));
  CHECK(d.each[1] == Approx(3.48361979).epsilon(1e-7));
  CHECK(d.each[2] == Approx(3.01938174).epsilon(1e-7));
  CHECK(cider(set).mean == Approx(3.24072746).epsilon(1e-7));
}

TEST_CASE("caption_metrics: a perfect caption, without the order of n-grams that it is too short for") {
  const std::vector<CaptionedImage> set{image("a red cube on sand", {"a red cube on sand", "blue"}),
                                        image("two green cones", {"two green cones"})};
  const Bleu b = bleu(set);
  for (const double s : b.score) CHECK(s == Approx(1).epsilon(1e-6));
  CHECK(rouge_l(set).mean == Approx(1));
  // n = 4 does not exist in "two green cones": three of the four orders are perfect
  CHECK(cider_d(set).each[1] == Approx(7.5));
  CHECK(cider_d(set).each[0] == Approx(5));  // the mean of a perfect and a foreign reference
}

TEST_CASE("caption_metrics: clipping, brevity, closest reference length") {
  // "the" stands twice in a reference: 2 of 7 (Papineni et al. 2002, example 2)
  const Bleu clipped =
      bleu({image("the the the the the the the", {"the cat is on the mat", "there is a cat on the mat"})});
  CHECK(clipped.score[0] == Approx(2.0 / 7));
  CHECK(clipped.correct[1] == 0);
  CHECK(clipped.score[1] < 1e-6);

  const Bleu brief = bleu({image("a b", {"a b c d", "a b c d e f"})});
  CHECK(brief.reference_length == 4);
  CHECK(brief.score[0] == Approx(std::exp(1 - 4.0 / 2)));
  CHECK(bleu({image("a b c", {"a b c d", "a b"})}).reference_length == 2);  // equally near: the shorter
}

// Nine words of which every second one is right: the small constants of eq. (1) are all that is left of the
// longer n-grams, and a ratio that is only just below 1.
TEST_CASE("caption_metrics: BLEU of a single image") {
  const std::vector<CaptionedImage> set{image("a 1 b 2 c 3 d 4 e", {"a . b . c . d . e"}),
                                        image("a b c d", {"a b c d"}), image("", {"a b"})};
  const Bleu b = bleu(set);
  REQUIRE(b.each.size() == 3);
  const std::array<double, 4> expected = {0.555555555432099, 8.333333331423613e-09, 2.1487199818053214e-11,
                                          1.1339582219145234e-12};
  for (size_t k = 0; k < 4; ++k) {
    CHECK(std::abs(b.each[0][k] / expected[k] - 1) <= 1e-9);
    CHECK(b.each[1][k] == Approx(1).epsilon(1e-6));
    CHECK(b.each[2][k] == 0);
  }
  CHECK(b.guess == std::array<int64_t, 4>{13, 11, 9, 7});
  CHECK(b.correct == std::array<int64_t, 4>{9, 3, 2, 1});
  CHECK(bleu({set[0]}).score == b.each[0]);
}

TEST_CASE("caption_metrics: CIDEr-D clips a repeated word and punishes another length") {
  // Every word stands in one of two images, so all weights are tf * ln 2 and ln 2 falls out.
  const std::vector<CaptionedImage> set{image("red red", {"red ball"}), image("blue", {"blue sky at night"})};
  // unigrams (2,0) and (1,1); no common bigram
  CHECK(cider(set).each[0] == Approx(10.0 / 4 * 2 / (2 * std::sqrt(2.0))));
  CHECK(cider_d(set).each[0] == Approx(10.0 / 4 * 1 / (2 * std::sqrt(2.0))));
  // unigrams (1) and (1,1,1,1); 0 bigrams against 3
  CHECK(cider(set).each[1] == Approx(10.0 / 4 / 2));
  CHECK(cider_d(set).each[1] == Approx(10.0 / 4 / 2 * std::exp(-9.0 / 72)));
}

TEST_CASE("caption_metrics: an empty hypothesis scores 0, a single image has no CIDEr") {
  auto set = small_set();
  set[1].hypothesis.clear();
  CHECK(cider_d(set).each[1] == 0);
  CHECK(rouge_l(set).each[1] == 0);
  CHECK(bleu(set).guess[0] == 19);
  CHECK(cider_d({small_set()[0]}).mean == 0);
  CHECK(bleu({image("", {"a"})}).score[0] < 1e-6);
}

TEST_CASE("caption_metrics: nothing is NaN where nothing is to be counted") {
  const std::vector<CaptionedImage> set{image("", {"", ""}), image("a", {""}), image("", {"a b"})};
  for (const CaptionScore& s : {rouge_l(set), cider(set), cider_d(set)})
    CHECK(s.each == std::vector<double>{0, 0, 0});
  for (const double s : bleu(set).score) CHECK(s < 1e-3);
  CHECK(cider({image("a b", {"a b"})}).mean == 0);
}

TEST_CASE("caption_metrics: a no-break space parts words in BLEU and CIDEr, not in ROUGE-L") {
  const std::vector<CaptionedImage> set{{{"2\u00A01/2", "cups"}, {{"2", "1/2", "cups"}}},
                                        image("tea", {"tea"})};
  CHECK(bleu(set).score[2] == Approx(1).epsilon(1e-6));
  CHECK(cider_d(set).each[0] == Approx(7.5));
  CHECK(rouge_l(set).each[0] < 0.5);
}

TEST_CASE("caption_metrics: every score of the reference on 126 images, from the captions") {
  const auto folder = std::filesystem::path(GMAIL_SOURCE_DIR) / "../shared/data/coco-caption";
  if (!std::filesystem::exists(folder / "scores_fakecap126.json")) {
    WARN("skipped: no " << folder);
    return;
  }
  std::vector<std::string> captions, ids, references;
  std::map<std::string, size_t> place;
  for (const Json& r : read_json(folder / "captions_fakecap126_results.json")) {
    captions.push_back(r["caption"].get<std::string>());
    ids.push_back(std::to_string(r["image_id"].get<int64_t>()));
    place[ids.back()] = ids.size() - 1;
  }
  const Json annotations = read_json(folder / "captions_fakecap126_annotations.json")["annotations"];
  for (const Json& a : annotations) references.push_back(a["caption"].get<std::string>());
  std::vector<CaptionedImage> set;
  for (Words& w : caption_tokens_of_lines(captions)) set.push_back({std::move(w), {}});
  const std::vector<Words> lines = caption_tokens_of_lines(references);
  for (size_t i = 0; i < lines.size(); ++i)
    set[place.at(std::to_string(annotations[i]["image_id"].get<int64_t>()))].references.push_back(lines[i]);

  const Bleu b = bleu(set);
  const CaptionScore rouge = rouge_l(set), d = cider_d(set);
  double worst = 0;
  const auto compare = [&](double score, const Json& expected) {
    const auto e = expected.get<double>();
    const double difference = std::abs(score - e) / std::max(e, 1e-15);
    if (!(difference <= worst)) worst = difference;  // NaN too
  };
  const Json all = read_json(folder / "scores_fakecap126.json");
  const auto compare_all = [&](const Json& keys, const std::array<double, 4>& bleus, double r, double c) {
    for (size_t k = 0; k < 4; ++k) compare(bleus[k], keys["Bleu_" + std::to_string(k + 1)]);
    compare(r, keys["ROUGE_L"]);
    compare(c, keys["CIDEr"]);
  };
  compare_all(all["overall"], b.score, rouge.mean, d.mean);
  for (size_t i = 0; i < set.size(); ++i)
    compare_all(all["per_image"][ids[i]], b.each[i], rouge.each[i], d.each[i]);
  CHECK(set.size() == 126);
  CHECK(worst <= 1e-9);
}

TEST_CASE("caption_metrics: bad input is refused") {
  CHECK_THROWS_AS(bleu({}), InputError);
  CHECK_THROWS_WITH(cider_d({image("a", {"a"}), image("a", {})}),
                    "[caption_metrics] image 1 has no reference caption");
}

TEST_CASE("caption_metrics: words are what stands between white space") {
  CHECK(caption_words("  a red\tcube \n") == Words{"a", "red", "cube"});
  CHECK(caption_words(" ").empty());
}
