// Protects dropout: the mask is the stream's, the same in both directions and dtypes, rate and scale; off
// when not training.
#include "catch.h"

#include <cmath>

#include "autograd/functions.h"
#include "core/rng.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("dropout: element i is kept if u_i >= p, and dx has the mask of y") {
  const Context ctx;
  const DropoutKey key{5, 6, 7};
  Tape tape(ctx);
  const Var x = tape.input(random({7, 3, 41}, 1));
  const Var y = dropout(tape, x, 0.3, key);
  Tensor u = Tensor::empty(x.shape(), DType::float64);
  fill_uniform(u, 0, 1, 5, Purpose::dropout, 6, 7);
  const Tensor dy = random(x.shape(), 2);
  tape.backward(y, dy);
  for (int64_t i = 0; i < u.numel(); ++i) {
    const double m = u.at(i) >= 0.3 ? 1 / 0.7 : 0;
    REQUIRE(std::abs(y.value.at(i) - x.value.at(i) * m) < 1e-12);
    REQUIRE(std::abs(tape.grad(x).at(i) - dy.at(i) * m) < 1e-12);
  }
  Tensor single = Tensor::empty(x.shape());
  cpu::dropout_forward(single, x.value.to(DType::float32), 0.3, key);
  CHECK(close(single.to(DType::float64), y.value, 1e-6) == "");
}

TEST_CASE("dropout: gradients") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) { return dropout(tape, v[0], 0.3, {5, 6, 7}); };
  CHECK_GRAD(f, {random({3, 7, 5}, 1)});
}

TEST_CASE("dropout: a gradient that is added to") {
  const Tensor dy = Tensor::full({10}, 1, DType::float64);
  Tensor once = Tensor::zeros({10}, DType::float64), sum = Tensor::full({10}, 5, DType::float64);
  cpu::dropout_backward({once, false}, dy, 0.5, {1, 2, 3});
  cpu::dropout_backward({sum, true}, dy, 0.5, {1, 2, 3});
  for (int64_t i = 0; i < 10; ++i) CHECK(sum.at(i) == 5 + once.at(i));
}

TEST_CASE("dropout: rate, independence of index and step") {
  const int64_t n = 100000;
  const Tensor x = Tensor::full({n}, 1);
  double kept = 0, both = 0;
  Tensor a = Tensor::empty({n}), b = Tensor::empty({n}), c = Tensor::empty({n});
  cpu::dropout_forward(a, x, 0.1, {1, 0, 0});
  cpu::dropout_forward(b, x, 0.1, {1, 0, 1});
  cpu::dropout_forward(c, x, 0.1, {1, 1, 0});
  for (int64_t i = 0; i < n; ++i) {
    kept += a.at(i) > 0;
    both += a.at(i) > 0 && b.at(i) > 0 && c.at(i) > 0;
  }
  CHECK(std::abs(kept / n - 0.9) < 5 * std::sqrt(0.09 / n));
  CHECK(std::abs(both / n - 0.729) < 5 * std::sqrt(0.2 / n));
}

TEST_CASE("dropout: nothing happens at p = 0 and outside training; p = 1 is refused") {
  const Context ctx;
  Tape infer(ctx, false), train(ctx);
  const Var x(random({5}, 1));
  CHECK(dropout(infer, x, 0.5, {}).value.raw() == x.value.raw());
  CHECK(dropout(train, x, 0, {}).value.raw() == x.value.raw());
  CHECK(dropout(train, x, 0.5, {}).value.raw() != x.value.raw());
  CHECK_THROWS_AS(dropout(train, x, 1, {}), Error);
}
