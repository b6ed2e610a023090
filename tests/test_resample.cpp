// Protects the changes of grid: eq. (1)-(4), shuffle and unshuffle as each other's inverse, odd grids.
#include "catch.h"

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("upsample_nearest: gradients and values", "[device]") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) { return upsample_nearest(tape, v[0]); };
  CHECK_GRAD(f, {random({2, 3, 5, 7}, 1)});
  CHECK_GRAD(f, {random({2, 3, 5, 8}, 1)});
  CHECK_GRAD(f, {random({1, 1, 1, 1}, 1)});
  const Context ctx;
  Tape tape(ctx, false);
  const Tensor y = upsample_nearest(tape, Var(Tensor::from(std::vector<double>{1, 2}, {1, 1, 2, 1}))).value;
  CHECK(close(y, Tensor::from(std::vector<double>{1, 1, 2, 2, 1, 1, 2, 2}, {1, 2, 4, 1}), 0) == "");
}

TEST_CASE("pixel_shuffle and pixel_unshuffle: gradients", "[device]") {
  const auto shuffle = [](Tape& tape, const std::vector<Var>& v) { return pixel_shuffle(tape, v[0], 2); };
  const auto unshuffle = [](Tape& tape, const std::vector<Var>& v) { return pixel_unshuffle(tape, v[0], 3); };
  CHECK_GRAD(shuffle, {random({2, 3, 1, 12}, 1)});
  CHECK_GRAD(unshuffle, {random({2, 3, 6, 5}, 1)});
}

TEST_CASE("pixel_shuffle: sub-pixel (i, j) of channel c comes from channel c r r + i r + j") {
  const Context ctx;
  Tape tape(ctx, false);
  const Tensor x = random({2, 3, 5, 18}, 1), y = pixel_shuffle(tape, Var(x), 3).value;  // y (2, 9, 15, 2)
  CHECK(y.shape() == Shape{2, 9, 15, 2});
  // b = 1, h = 2, w = 4, c = 1, i = 2, j = 0
  CHECK(y.at(((1 * 9 + 2 * 3 + 2) * 15 + 4 * 3 + 0) * 2 + 1) ==
        x.at(((1 * 3 + 2) * 5 + 4) * 18 + 1 * 9 + 2 * 3 + 0));
  CHECK(close(pixel_unshuffle(tape, Var(y), 3).value, x, 0) == "");
  CHECK_THROWS_AS(pixel_shuffle(tape, Var(x), 4), Error);
  CHECK_THROWS_AS(pixel_unshuffle(tape, Var(x), 2), Error);
}
