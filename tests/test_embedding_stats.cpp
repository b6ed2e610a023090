// Protects the embedding statistics: values by hand, independence of length, bad input.
#include "catch.h"

#include <cmath>

#include "eval/embedding_stats.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("embedding_stats: pairs by hand") {
  // cosines 1, 0 and -1; centroids (1/3)(1, 2) and (1/3)(2, -1)
  const Tensor x = Tensor::from(std::vector<float>{2, 0, 0, 3, 0, 1}, {3, 2});
  const Tensor y = Tensor::from(std::vector<float>{1, 0, 5, 0, 0, -1}, {3, 2});
  const PairStats s = pair_stats(x, y);
  CHECK(std::abs(s.cosine) < 1e-7);
  CHECK(s.cosine_std == Approx(std::sqrt(2.0 / 3)));
  CHECK(s.gap == Approx(std::sqrt(10.0) / 3));
  CHECK(s.alignment == Approx(2));
  CHECK(modality_gap(x, y.rows(0, 1)) == Approx(std::sqrt(4.0 / 9 + 4.0 / 9)));
}

TEST_CASE("embedding_stats: a set against itself") {
  const Tensor x = random({9, 6}, 1, DType::float32);
  const PairStats s = pair_stats(x, x);
  CHECK(s.cosine == Approx(1));
  CHECK(s.gap == 0);
}

TEST_CASE("embedding_stats: uniformity by the definition") {
  const Tensor x = random({37, 5}, 1, DType::float32);
  double sum = 0;
  int64_t pairs = 0;
  for (int64_t i = 0; i < 37; ++i)
    for (int64_t j = i + 1; j < 37; ++j, ++pairs) {
      double ii = 0, jj = 0, square = 0;
      for (int64_t e = 0; e < 5; ++e) ii += std::pow(x.at(i * 5 + e), 2), jj += std::pow(x.at(j * 5 + e), 2);
      for (int64_t e = 0; e < 5; ++e)
        square += std::pow(x.at(i * 5 + e) / std::sqrt(ii) - x.at(j * 5 + e) / std::sqrt(jj), 2);
      sum += std::exp(-2 * square);
    }
  CHECK(uniformity(x) == Approx(std::log(sum / static_cast<double>(pairs))));
  // all in one point: the worst there is
  CHECK(uniformity(Tensor::full({4, 3}, 2)) == Approx(0).margin(1e-6));
}

TEST_CASE("embedding_stats: bad input is refused") {
  const Tensor x = random({3, 5}, 1, DType::float32);
  CHECK_THROWS_AS(pair_stats(x, x.rows(0, 2)), InputError);
  CHECK_THROWS_AS(modality_gap(x, random({3, 4}, 1, DType::float32)), InputError);
  CHECK_THROWS_AS(uniformity(x.rows(0, 1)), InputError);
}
