// Protects add, mul, scale: every way of broadcasting either side, the same Var on both sides, fixed bits,
// misfits refused.
#include "catch.h"

#include <cmath>
#include <utility>

#include "autograd/functions.h"
#include "gradcheck.h"
#include "ops/broadcast.h"
#include "threads.h"

using namespace gmail;
using namespace gmail::test;

namespace {
const auto kAdd = [](Tape& tape, const std::vector<Var>& v) { return add(tape, v[0], v[1]); };
const auto kMul = [](Tape& tape, const std::vector<Var>& v) { return mul(tape, v[0], v[1]); };
}  // namespace

TEST_CASE("add, mul: gradients for every way of broadcasting", "[device]") {
  const std::vector<std::pair<Shape, Shape>> cases = {
      {{3, 7, 5}, {3, 7, 5}},
      {{3, 7, 5}, {5}},
      {{3, 7, 5}, {7, 5}},
      {{3, 7, 8}, {8}},
      {{3, 7, 8}, {7, 8}},
      {{3, 2, 2, 5}, {3, 1, 1, 5}},
      {{3, 7, 5}, {3, 1, 1}},
      {{3, 7, 5}, {1}},
      {{3, 7, 5}, {}},
      {{3, 7, 5}, {1, 7, 1}},
      {{3, 1, 5}, {7, 1}},
      {{4, 1}, {1, 6}},
      {{2, 3, 2, 3}, {2, 1, 2, 1}},
      {{2, 3, 2, 3}, {3, 1, 3}},
      {{1}, {1, 1, 1}},
      {{1, 40}, {37, 1, 40}},
  };
  for (const auto& [a, b] : cases) {
    CAPTURE(a.str(), b.str());
    CHECK_GRAD(kAdd, {random(a, 1), random(b, 2)});
    CHECK_GRAD(kAdd, {random(b, 2), random(a, 1)});
    CHECK_GRAD(kMul, {random(a, 1), random(b, 2)});
    CHECK_GRAD(kMul, {random(b, 2), random(a, 1)});
  }
}

TEST_CASE("add, mul: values are those of the definition") {
  const Context ctx;
  Tape tape(ctx, false);
  const Tensor a = random({2, 3, 2, 3}, 1), b = random({3, 1, 3}, 2);
  const Tensor sum = add(tape, Var(a), Var(b)).value, product = mul(tape, Var(b), Var(a)).value;
  for (int64_t i = 0; i < 36; ++i) {
    const int64_t l = i % 3, j = i / 6 % 3;
    CHECK(sum.at(i) == a.at(i) + b.at(j * 3 + l));
    CHECK(product.at(i) == a.at(i) * b.at(j * 3 + l));
  }
  CHECK_THROWS_WITH(add(tape, Var(a), Var(random({2}, 1))),
                    "[broadcast] shapes do not go together: (2,3,2,3) and (2)");
}

TEST_CASE("add, mul: the same value on both sides", "[device]") {
  CHECK_GRAD([](Tape& tape, const std::vector<Var>& v) { return mul(tape, v[0], v[0]); },
             {random({3, 5}, 1)});
  CHECK_GRAD([](Tape& tape, const std::vector<Var>& v) { return add(tape, v[0], v[0]); },
             {random({3, 5}, 1)});
  CHECK_GRAD([](Tape& tape, const std::vector<Var>& v) { return mul(tape, add(tape, v[0], v[1]), v[0]); },
             {random({3, 5}, 1), random({5}, 2)});
}

TEST_CASE("scale: gradients, and NaN passes", "[device]") {
  CHECK_GRAD([](Tape& tape, const std::vector<Var>& v) { return scale(tape, v[0], -1.5); },
             {random({3, 5}, 1)});
  const Context ctx;
  Tape tape(ctx, false);
  CHECK(std::isnan(scale(tape, Var(Tensor::full({1}, std::nan(""))), 0).value.item()));
}

TEST_CASE("broadcast: a sum over many rows has the same bits for every number of threads") {
  const Tensor dy = random({2100, 3, 40}, 1, DType::float32);
  for (const Shape& shape : {Shape{40}, Shape{3, 1}, Shape{2100, 1, 1}, Shape{1}}) {
    Tensor one = Tensor::zeros(shape), four = Tensor::zeros(shape);
    for (auto& [threads, sum] : {std::pair(1, one), std::pair(4, four)}) {
      const Threads scope(threads);
      cpu::add_backward({sum, false}, dy);
    }
    CHECK(close(one, four, 0) == "");
  }
}
