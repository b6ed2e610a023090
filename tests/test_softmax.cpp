// Protects softmax: eq. (1) and (2), large logits, -inf as a mask, NaN not swallowed.
#include "catch.h"

#include <cmath>
#include <limits>

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("softmax: gradients", "[device]") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) { return softmax(tape, v[0]); };
  CHECK_GRAD(f, {random({3, 7, 5}, 1)});
  CHECK_GRAD(f, {random({37, 19}, 2)});
  CHECK_GRAD(f, {random({1, 33}, 3)});
  CHECK_GRAD(f, {random({2, 264}, 4)});
  CHECK_GRAD(f, {random({2, 1032}, 5)});  // longer than a warp's row
}

TEST_CASE("softmax: large logits, masked logits, NaN, one column") {
  const Context ctx;
  Tape tape(ctx, false);
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = Tensor::from(std::vector<float>{1000, 1000, -inf, -1000, -1000, -inf, 1, nan, 2}, {3, 3});
  const Tensor y = softmax(tape, Var(x)).value;
  for (const int64_t i : {0, 1, 3, 4}) CHECK(y.at(i) == 0.5);
  for (const int64_t i : {2, 5}) CHECK(y.at(i) == 0);
  for (const int64_t i : {6, 7, 8}) CHECK(std::isnan(y.at(i)));
  CHECK(close(softmax(tape, Var(random({4, 1}, 1))).value, Tensor::full({4, 1}, 1, DType::float64), 0) == "");
}
