// Protects weighted_mse: eq. (1) by hand, weights, several pieces, NaN.
#include "catch.h"

#include <cmath>

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("weighted_mse: gradients", "[device]") {
  const auto with = [](Tape& tape, const std::vector<Var>& v) {
    return weighted_mse(tape, v[0], random({3, 7, 5}, 2, v[0].dtype()), random({3}, 3, v[0].dtype()));
  };
  const auto without = [](Tape& tape, const std::vector<Var>& v) {
    return weighted_mse(tape, v[0], random(v[0].shape(), 2, v[0].dtype()));
  };
  CHECK_GRAD(with, {random({3, 7, 5}, 1)});
  CHECK_GRAD(without, {random({2, 3}, 1)});
  CHECK_GRAD(without, {random({1}, 1)});
}

TEST_CASE("weighted_mse: by hand") {
  const Context ctx;
  Tape tape(ctx, false);
  const Var p(Tensor::from(std::vector<double>{1, 2, 3, 4}, {2, 2}));
  const Tensor t = Tensor::from(std::vector<double>{0, 0, 3, 1}, {2, 2});
  CHECK(weighted_mse(tape, p, t).value.item() == Approx(0.5 * (2.5 + 4.5)));
  CHECK(weighted_mse(tape, p, t, Tensor::from(std::vector<double>{2, 0.5}, {2})).value.item() ==
        Approx(0.5 * (2 * 2.5 + 0.5 * 4.5)));
  const Var many(Tensor::full({3, 2500}, 2));
  CHECK(weighted_mse(tape, many, Tensor::full({3, 2500}, -1)).value.item() == 9);
  CHECK(std::isnan(
      weighted_mse(tape, Var(Tensor::full({2, 2}, std::nan(""))), Tensor::full({2, 2}, 0)).value.item()));
  CHECK_THROWS_AS(weighted_mse(tape, p, t, Tensor::full({3}, 1, DType::float64)), Error);
}
