// Protects l2_normalize: unit rows, gradient on both sides of eps, NaN not swallowed.
#include "catch.h"

#include <cmath>

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("l2_normalize: gradients, also where the norm is below eps", "[device]") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) { return l2_normalize(tape, v[0]); };
  CHECK_GRAD(f, {random({3, 7, 5}, 1)});
  CHECK_GRAD(f, {random({1, 40}, 2)});
  CHECK_GRAD(f, {random({2, 1032}, 2)});  // longer than a warp's row
  CHECK_GRAD([](Tape& tape, const std::vector<Var>& v) { return l2_normalize(tape, v[0], 100.0); },
             {random({3, 5}, 3)});
}

TEST_CASE("l2_normalize: 3-4-5, a zero row, NaN") {
  const Context ctx;
  Tape tape(ctx, false);
  const Tensor y =
      l2_normalize(tape, Var(Tensor::from(std::vector<double>{3, 4, 0, 0, std::nan(""), 1}, {3, 2}))).value;
  CHECK(close(y.rows(0, 2), Tensor::from(std::vector<double>{0.6, 0.8, 0, 0}, {2, 2}), 1e-15) == "");
  CHECK(std::isnan(y.at(4)));
  CHECK(std::isnan(y.at(5)));
}
