// A step of DDIM with eta = 0 (Song et al. 2020, arXiv:2010.02502, eq. 12) and classifier-free guidance g (Ho
// & Salimans 2022, arXiv:2207.12598), from time t to the smaller time s. The network's prediction is by type
// the noise, v = alpha noise - sigma x0, or x0 (Salimans & Ho 2022, arXiv:2202.00512):
//   (1)  p = p_uncond + g (p_cond - p_uncond)
//   (2)  epsilon: x0 = (x - sigma_t p) / alpha_t    v_prediction: x0 = alpha_t x - sigma_t p   sample: x0 = p
//   (3)  x0 <- clamp(x0, -c, c) if c > 0,   eps = (x - alpha_t x0) / sigma_t,   x <- alpha_s x0 + sigma_s eps
// The factors are read from memory, so that a recorded step serves every t.
#pragma once

#include "core/tensor.h"

namespace gmail {

enum class Prediction : uint8_t { epsilon, v_prediction, sample };

struct DdimFactors {
  double alpha_t = 1, sigma_t = 0, alpha_s = 1, sigma_s = 0, guidance = 0, clamp = 0;
  [[nodiscard]] Tensor tensor() const;  // (6) float64, in this order
};
struct DdimSizes {
  int64_t n;    // elements of x
  bool guided;  // else p is the prediction, and there is no eq. (1)
};
[[nodiscard]] DdimSizes ddim_sizes(const Tensor& x, const Tensor& p,
                                   const Tensor& factors);  // checks them

namespace cpu {
// x (B, ...) float32 in place; p (2 B, ...): with the caption, then without, or (B, ...): no guidance
void ddim_step(Tensor& x, const Tensor& p, const Tensor& factors, Prediction prediction);
}  // namespace cpu
namespace cuda {  // the same on a stream: cuda/ddim.cu
void ddim_step(Tensor& x, const Tensor& p, const Tensor& factors, Prediction prediction, Stream stream);
}
}  // namespace gmail
