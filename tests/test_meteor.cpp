// Protects METEOR: the reference's scores, alignments and chunks counted by hand, aggregation, the
// edges of the modules.
#include "catch.h"

#include <cmath>

#include "core/check.h"
#include "eval/meteor.h"

using namespace gmail;

namespace {

CaptionedImage image(const std::string& hypothesis, const std::vector<std::string>& references) {
  CaptionedImage i{caption_words(hypothesis), {}};
  for (const std::string& r : references) i.references.push_back(caption_words(r));
  return i;
}

}  // namespace

TEST_CASE("meteor: chunks and the penalty by hand") {
  const Meteor meteor{MeteorOptions{}};
  // "dog" and "cat" match in two chunks: P = 2/2, R = 2/3
  const CaptionScore s = meteor.score({image("dog cat", {"dog bird cat"})});
  const double f = 1 / (0.15 / 1 + 0.85 / (2.0 / 3));
  CHECK(s.each[0] == Approx(f * (1 - 0.6 * std::pow(2.0 / 2, 0.2))));
  CHECK(s.mean == Approx(s.each[0]));
  CHECK(meteor.score({image("dog cat", {"bird", "dog cat"})}).each[0] == 1);
  CHECK(meteor.score({image("", {"dog"})}).each[0] == 0);
  CHECK_THROWS_AS(meteor.score({}), InputError);
}
