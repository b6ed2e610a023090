// Protects a step of DDIM: eq. (1) to (3) in double for every prediction type, with and without guidance and
// clamp, and that the factors are read when the step runs.
#include "catch.h"

#include <algorithm>

#include "core/dispatch.h"
#include "devices.h"
#include "gradcheck.h"
#include "ops/ddim.h"

using namespace gmail;
using namespace gmail::test;

namespace {

Tensor expected(const Tensor& x, const Tensor& p, const DdimFactors& f, Prediction kind) {
  Tensor y = x.clone();
  const int64_t n = x.numel();
  for (int64_t i = 0; i < n; ++i) {
    const double q = p.numel() == n ? p.at(i) : p.at(n + i) + f.guidance * (p.at(i) - p.at(n + i));
    double x0 = q;
    if (kind == Prediction::epsilon) x0 = (x.at(i) - f.sigma_t * q) / f.alpha_t;
    if (kind == Prediction::v_prediction) x0 = f.alpha_t * x.at(i) - f.sigma_t * q;
    if (f.clamp > 0) x0 = std::min(f.clamp, std::max(-f.clamp, x0));
    y.data<float>()[i] =
        static_cast<float>(f.alpha_s * x0 + f.sigma_s * (x.at(i) - f.alpha_t * x0) / f.sigma_t);
  }
  return y;
}

}  // namespace

TEST_CASE("ddim: a step against its equations", "[device]") {
  const Tensor start = random({3, 5, 7, 3}, 1, DType::float32);
  on_each_device([&](const Context& ctx) {
    for (const Prediction kind : {Prediction::epsilon, Prediction::v_prediction, Prediction::sample})
      for (const int64_t rows : {3, 6})
        for (const double clamp : {0.0, 0.5}) {
          const DdimFactors f{0.6, 0.8, 0.96, 0.28, 2.5, clamp};
          const Tensor p = random({rows, 5, 7, 3}, 2, DType::float32);
          Tensor x;
          ctx.put(x, start.clone());
          GMAIL_RUN(ctx, ddim_step, x, ctx.here(p), ctx.here(f.tensor()), kind);
          INFO(static_cast<int>(kind) << ", " << rows << " rows, clamp " << clamp);
          CHECK(close(x.to(Device::cpu), expected(start, p, f, kind), 1e-6) == "");
          CHECK(close(x.to(Device::cpu), start, 0.01) != "");
        }
  });
}

TEST_CASE("ddim: what does not fit is refused") {
  Tensor x = Tensor::zeros({2, 3});
  const Tensor f = DdimFactors{}.tensor();
  CHECK_THROWS_WITH(cpu::ddim_step(x, Tensor::zeros({3, 3}), f, Prediction::sample),
                    Contains("[ddim] x (2,3), prediction (3,3)"));
  CHECK_THROWS_WITH(cpu::ddim_step(x, Tensor::zeros({4, 3}), Tensor::zeros({6}), Prediction::sample),
                    Contains("factors must be (6) of float64"));
}
