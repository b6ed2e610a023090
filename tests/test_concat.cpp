// Protects concat, slice and reshape: every dimension, negative dimensions, overlapping slices, misfits
// refused.
#include "catch.h"

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("concat: gradients along each dimension", "[device]") {
  for (const int dim : {0, 1, 2, -1}) {
    CAPTURE(dim);
    const auto f = [dim](Tape& tape, const std::vector<Var>& v) {
      return concat(tape, {v[0], v[1], v[0]}, dim);
    };
    CHECK_GRAD(f, {random({2, 3, 5}, 1), random(Shape{2, 3, 5}.with(dim, 4), 2)});
    CHECK_GRAD(f, {random({2, 3, 8}, 1), random(Shape{2, 3, 8}.with(dim, 16), 2)});
  }
}

TEST_CASE("concat: values") {
  const Context ctx;
  Tape tape(ctx, false);
  const Var a(Tensor::from(std::vector<double>{1, 2, 3, 4}, {2, 2})),
      b(Tensor::from(std::vector<double>{5, 6}, {2, 1}));
  const Tensor y = concat(tape, {a, b}, 1).value;
  CHECK(close(y, Tensor::from(std::vector<double>{1, 2, 5, 3, 4, 6}, {2, 3}), 0) == "");
  CHECK_THROWS_AS(concat(tape, {a, b}, 0), Error);
}

TEST_CASE("slice: gradients, overlapping and apart", "[device]") {
  for (const int dim : {0, 1, -1}) {
    CAPTURE(dim);
    const auto f = [dim](Tape& tape, const std::vector<Var>& v) {
      return mul(tape, slice(tape, v[0], dim, 0, 2), slice(tape, v[0], dim, 1, 3));
    };
    CHECK_GRAD(f, {random({3, 4, 5}, 1)});
    CHECK_GRAD(f, {random({3, 4, 8}, 1)});
  }
  const Context ctx;
  Tape tape(ctx, false);
  CHECK_THROWS_WITH(slice(tape, Var(random({2, 3}, 1)), 1, 2, 4), "[slice] 2 to 4 of dimension 1 of (2,3)");
}

TEST_CASE("slice undoes concat, and reshape shares memory", "[device]") {
  const Context ctx;
  Tape tape(ctx, false);
  const Var a(random({3, 700, 9}, 1)), b(random({3, 20, 9}, 2));
  const Var y = concat(tape, {a, b}, 1);
  CHECK(close(slice(tape, y, 1, 0, 700).value, a.value, 0) == "");
  CHECK(close(slice(tape, y, 1, 700, 720).value, b.value, 0) == "");
  CHECK(reshape(tape, a, {3 * 700, 9}).value.raw() == a.value.raw());
  CHECK_GRAD([](Tape& t, const std::vector<Var>& v) { return reshape(t, v[0], {6}); }, {random({2, 3}, 1)});
}
