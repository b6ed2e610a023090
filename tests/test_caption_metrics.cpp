// Protects BLEU, ROUGE-L and CIDEr: values that coco-caption's scorers give on a small set, and the edges of
// each.
#include "catch.h"

#include <cmath>

#include "core/check.h"
#include "eval/caption_metrics.h"

using namespace gmail;

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

TEST_CASE("caption_metrics: bad input is refused") {
  CHECK_THROWS_AS(bleu({}), InputError);
  CHECK_THROWS_WITH(cider_d({image("a", {"a"}), image("a", {})}),
                    "[caption_metrics] image 1 has no reference caption");
}

TEST_CASE("caption_metrics: words are what stands between white space") {
  CHECK(caption_words("  a red\tcube \n") == Words{"a", "red", "cube"});
  CHECK(caption_words(" ").empty());
}
