// Protects layer_norm: equations (1)-(3), each optional input absent, odd sizes, one row, one column,
// and the widths at which a device changes its way.
#include "catch.h"

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("layer_norm: gradients", "[device]") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) {
    return layer_norm(tape, v[0], v[1], v[2], 1e-5);
  };
  CHECK_GRAD(f, {random({3, 7, 5}, 1), random({5}, 2), random({5}, 3)});
  CHECK_GRAD(f, {random({37, 19}, 1), Tensor(), random({19}, 3)});
  CHECK_GRAD(f, {random({1, 40}, 1), random({40}, 2), Tensor()});
  CHECK_GRAD(f, {random({2, 3}, 1), Tensor(), Tensor()});
}

TEST_CASE("layer_norm: rows of every width that a warp or a block takes") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) {
    return layer_norm(tape, v[0], v[1], v[2], 1e-5);
  };
  for (const int64_t C : {264, 1024, 1021, 1032, 1030}) {
    CAPTURE(C);
    for (const int64_t N : {1, 9})
      CHECK(float_agrees(f, {random({N, C}, 1), random({C}, 2), random({C}, 3)}) == "");
    CHECK(device_agrees(f, {random({9, C}, 1), random({C}, 2), random({C}, 3)}) == "");
  }
}

TEST_CASE("layer_norm: a row of one column is its bias") {
  const Context ctx;
  Tape tape(ctx, false);
  const Var y = layer_norm(tape, Var(random({4, 1}, 1)), Var(random({1}, 2)),
                           Var(Tensor::full({1}, 3, DType::float64)), 1e-5);
  CHECK(close(y.value, Tensor::full({4, 1}, 3, DType::float64), 1e-12) == "");
}

TEST_CASE("layer_norm: a wrong weight is refused with both shapes") {
  const Context ctx;
  Tape tape(ctx, false);
  CHECK_THROWS_WITH(layer_norm(tape, Var(random({4, 3}, 1)), Var(random({4}, 2)), Var(), 1e-5),
                    "[layer_norm] weight and bias must be (3), got (4)");
}
