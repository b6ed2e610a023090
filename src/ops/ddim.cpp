#include "ops/ddim.h"

#include <algorithm>

namespace gmail {

Tensor DdimFactors::tensor() const {
  return Tensor::from(std::vector<double>{alpha_t, sigma_t, alpha_s, sigma_s, guidance, clamp}, {6});
}

DdimSizes ddim_sizes(const Tensor& x, const Tensor& p, const Tensor& factors) {
  GMAIL_CHECK(x.rank() >= 1 && x.numel() > 0 && p.rank() == x.rank(), "[ddim] x ", x.shape(), ", prediction ",
              p.shape());
  const int64_t B = x.size(0);
  const bool guided = p.size(0) == 2 * B;
  GMAIL_CHECK(p.shape() == x.shape().with(0, guided ? 2 * B : B), "[ddim] x ", x.shape(), ", prediction ",
              p.shape());
  GMAIL_CHECK(factors.shape() == Shape{6} && factors.dtype() == DType::float64,
              "[ddim] factors must be (6) of float64, got ", factors.shape(), " of ",
              name_of(factors.dtype()));
  return {x.numel(), guided};
}

void cpu::ddim_step(Tensor& x, const Tensor& p, const Tensor& factors, Prediction prediction) {
  const auto [n, guided] = ddim_sizes(x, p, factors);
  const double *f = factors.data<double>(), at = f[0], st = f[1], as = f[2], ss = f[3], clamp = f[5];
  const auto g = static_cast<float>(f[4]);
  float* const y = x.data<float>();
  with_float_type(p.dtype(), [&, n = n, guided = guided](auto zero) {
    const auto* const out = p.data<decltype(zero)>();
    for (int64_t i = 0; i < n; ++i) {
      const auto cond = static_cast<float>(out[i]), uncond = guided ? static_cast<float>(out[n + i]) : 0.0F;
      const double xi = y[i], pi = guided ? uncond + g * (cond - uncond) : cond;  // (1)
      double x0 = prediction == Prediction::sample    ? pi
                  : prediction == Prediction::epsilon ? (xi - st * pi) / at
                                                      : at * xi - st * pi;  // (2)
      if (clamp > 0) x0 = std::clamp(x0, -clamp, clamp);
      const double eps = (xi - at * x0) / st;
      y[i] = static_cast<float>(as * x0 + ss * eps);  // (3)
    }
  });
}

}  // namespace gmail
