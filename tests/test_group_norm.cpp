// Protects group_norm: eq. (1)-(3) with and without silu, absent weights, one group, one channel a group,
// many blocks of positions, a mean that is large against the spread, NaN not swallowed.
#include "catch.h"

#include <array>
#include <cmath>
#include <utility>

#include "autograd/functions.h"
#include "core/parallel_for.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

namespace {
Function norm(int groups, bool silu) {
  return [=](Tape& tape, const std::vector<Var>& v) {
    return group_norm(tape, v[0], v[1], v[2], groups, 1e-5, silu);
  };
}
}  // namespace

TEST_CASE("group_norm: gradients", "[device]") {
  for (const bool silu : {false, true}) {
    CAPTURE(silu);
    CHECK_GRAD(norm(3, silu), {random({2, 3, 3, 6}, 1), random({6}, 2), random({6}, 3)});
    CHECK_GRAD(norm(1, silu), {random({2, 5, 7}, 1), Tensor(), random({7}, 3)});
    CHECK_GRAD(norm(5, silu), {random({1, 4, 5}, 1), random({5}, 2), Tensor()});
    CHECK_GRAD(norm(2, silu), {random({3, 1, 4}, 1), Tensor(), Tensor()}, 1e-5);
    CHECK_GRAD(norm(2, silu), {random({2, 1, 40}, 1), random({40}, 2), random({40}, 3)});
  }
}

TEST_CASE("group_norm: groups that share packs, many positions, few positions") {
  for (const auto& [shape, groups] : {std::pair(Shape{2, 37, 40}, 4),
                                      {{1, 5, 64}, 2},
                                      {{3, 70, 8}, 8},
                                      {{2, 1, 16}, 2},
                                      {{1, 2100, 16}, 1}}) {
    CAPTURE(shape.str(), groups);
    const int64_t C = shape[-1];
    CHECK(float_agrees(norm(groups, true), {random(shape, 1), random({C}, 2), random({C}, 3)}) == "");
    CHECK(device_agrees(norm(groups, true), {random(shape, 1), random({C}, 2), random({C}, 3)}) == "");
  }
}

TEST_CASE("group_norm: positions in several blocks", "[device]") {  // 2 + 2 + 1: 4096 / 1400 = 2 a block
  const auto f = norm(2, true);
  CHECK_GRAD(f, {random({1, 5, 1400}, 1), random({1400}, 2), random({1400}, 3)});
}

TEST_CASE("group_norm: several blocks of a batch are those of its images") {
  const Tensor x = random({2, 5, 1400}, 1), w = random({1400}, 2), b = random({1400}, 3);
  const Tensor dy = random({2, 5, 1400}, 4);
  const Context ctx;
  const auto run = [&](int64_t begin, int64_t end) {  // y, dx, dw, db of images [begin, end)
    Tape tape(ctx);
    const Var xs = tape.input(x.rows(begin, end)), ws = tape.input(w), bs = tape.input(b);
    const Var y = group_norm(tape, xs, ws, bs, 2, 1e-5, true);
    tape.backward(y, dy.rows(begin, end));
    return std::array{y.value.clone(), tape.grad(xs).clone(), tape.grad(ws).clone(), tape.grad(bs).clone()};
  };
  const auto both = run(0, 2), first = run(0, 1), second = run(1, 2);
  for (const size_t k : {0U, 1U}) {
    CHECK(close(both[k].rows(0, 1), first[k], 0) == "");
    CHECK(close(both[k].rows(1, 2), second[k], 0) == "");
  }
  for (const size_t k : {2U, 3U}) {
    Tensor sum = first[k].clone();
    for (int64_t c = 0; c < sum.numel(); ++c) sum.data<double>()[c] += second[k].at(c);
    CHECK(close(both[k], sum, 1e-13) == "");
  }
}

TEST_CASE("group_norm: each group has mean 0 and variance 1, silu comes after w and b") {
  const Context ctx;
  Tape tape(ctx, false);
  const Var x(random({2, 37, 6}, 1)), none;
  const Tensor y = group_norm(tape, x, none, none, 2, 0).value;
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t g = 0; g < 2; ++g) {
      double sum = 0, square = 0;
      for (int64_t t = 0; t < 37; ++t)
        for (int64_t c = 3 * g; c < 3 * g + 3; ++c) {
          const double v = y.at((b * 37 + t) * 6 + c);
          sum += v, square += v * v;
        }
      CHECK(std::abs(sum) < 1e-10);
      CHECK(std::abs(square / (37 * 3) - 1) < 1e-10);
    }
  const Var w(random({6}, 2)), bias(random({6}, 3));
  const Var u = group_norm(tape, x, w, bias, 2, 1e-5);
  CHECK(close(group_norm(tape, x, w, bias, 2, 1e-5, true).value, activation(tape, u, Activation::silu).value,
              1e-12) == "");
}

TEST_CASE("group_norm: a mean of 3000 standard deviations costs float no digits beyond those of its input") {
  const Context ctx;
  Tape tape(ctx, false);
  Tensor x = random({1, 64, 64, 8}, 1, DType::float32);
  for (float& v : x.span<float>()) v += 3000;
  const Var none;
  const Tensor y = group_norm(tape, Var(x), none, none, 2, 1e-5).value;
  const Tensor exact = group_norm(tape, Var(x.to(DType::float64)), none, none, 2, 1e-5).value;
  CHECK(close(y.to(DType::float64), exact, 1e-4) == "");
}

TEST_CASE("group_norm: NaN reaches the whole group and no other; wrong sizes are refused") {
  const Context ctx;
  Tape tape(ctx, false);
  Tensor x = random({1, 3, 4}, 1);
  x.data<double>()[1] = std::nan("");
  const Var none;
  const Tensor y = group_norm(tape, Var(x), none, none, 2, 1e-5, true).value;
  for (int64_t i = 0; i < 12; ++i) CHECK(std::isnan(y.at(i)) == (i % 4 < 2));
  CHECK_THROWS_WITH(group_norm(tape, Var(x), none, none, 3, 1e-5),
                    "[group_norm] 4 channels cannot be cut into 3 groups");
}
