// Protects activation: values and slopes of eq. (1)-(6), saturation, NaN passes, accumulation into a
// gradient.
#include "catch.h"

#include <cmath>
#include <limits>

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

namespace {
constexpr Activation kAll[] = {Activation::quick_gelu, Activation::gelu_erf, Activation::gelu_tanh,
                               Activation::silu,       Activation::relu,     Activation::tanh};
Tensor run(const Tensor& x, Activation kind) {
  const Context ctx;
  Tape tape(ctx, false);
  return activation(tape, Var(x), kind).value;
}
}  // namespace

TEST_CASE("activation: gradients", "[device]") {
  for (const Activation kind : kAll) {
    CAPTURE(static_cast<int>(kind));
    const auto f = [kind](Tape& tape, const std::vector<Var>& v) { return activation(tape, v[0], kind); };
    CHECK_GRAD(f, {random({3, 7, 5}, 1)});
    CHECK_GRAD(f, {random({1}, 2)});
  }
}

TEST_CASE("activation: known values at 1 and -2") {
  const Tensor x = Tensor::from(std::vector<double>{1, -2}, {2});
  const double expected[][2] = {
      {0.8457957659328212, -0.06434137685579186},  // x s(1.702 x)
      {0.8413447460685429, -0.04550026389635842},  // x Phi(x)
      {0.8411919906082768, -0.04540230591222494}, {0.7310585786300049, -0.2384058440442351}, {1, 0},
      {0.7615941559557649, -0.9640275800758169}};
  for (const Activation kind : kAll) {
    const auto& e = expected[static_cast<int>(kind)];
    CAPTURE(static_cast<int>(kind));
    CHECK(close(run(x, kind), Tensor::from(std::vector<double>{e[0], e[1]}, {2}), 1e-9) == "");
    CHECK(close(run(x.to(DType::float32), kind).to(DType::float64), run(x, kind), 1e-6) == "");
  }
}

TEST_CASE("activation: far from zero float neither overflows nor loses its limit, and NaN stays") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = Tensor::from(std::vector<float>{-1e4F, -200, 200, 1e4F, nan}, {5});
  for (const Activation kind : kAll) {
    CAPTURE(static_cast<int>(kind));
    const Tensor y = run(x, kind);
    const bool bounded = kind == Activation::tanh;
    CHECK(y.at(0) == (bounded ? -1 : 0));
    CHECK(y.at(1) == (bounded ? -1 : 0));
    CHECK(y.at(2) == (bounded ? 1 : 200));
    CHECK(y.at(3) == (bounded ? 1 : 1e4));
    CHECK(std::isnan(y.at(4)));
    Tensor dx = Tensor::zeros({5});
    cpu::activation_backward({dx, false}, Tensor::full({5}, 1), x, kind);
    CHECK(dx.rows(0, 4).all_finite());
    CHECK(std::isnan(dx.at(4)));
    Tensor sum = Tensor::full({5}, 3);
    cpu::activation_backward({sum, true}, Tensor::full({5}, 1), x, kind);
    CHECK(sum.at(3) == 3 + dx.at(3));
  }
}
