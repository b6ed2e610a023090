// The global norm of the gradients g (N) float32, and the factor that clips it (Pascanu et al. 2013,
// arXiv:1211.5063), as torch.nn.utils.clip_grad_norm_:
//   (1)  norm = sqrt(sum_i g_i^2)                     (1) float64, summed in double in a fixed order
//   (2)  scale = min(1, clip / (norm + 1e-6)),        (1) float32; 1 if clip is 0 (off)
// A norm that is not finite makes scale NaN, and a NaN stays: AdamW (ops/adamw.h) then changes nothing any
// more, until somebody has looked and set scale to 1 again. Nobody has to look in each step.
#pragma once

#include "core/tensor.h"

namespace gmail {

// Checks types and sizes; the number of gradients.
int64_t grad_norm_size(const Tensor& norm, const Tensor& scale, const Tensor& grads);

// (2), from the scale of the step before
constexpr float clip_scale(double norm, double clip, float before) {
  constexpr double kLargest = 1.7976931348623157e308;
  if (before != before || !(norm <= kLargest)) return __builtin_nanf("");
  const double factor = clip > 0 ? clip / (norm + 1e-6) : 1;
  return static_cast<float>(factor < 1 ? factor : 1);
}

namespace cpu {
void grad_norm(Tensor& norm, Tensor& scale, const Tensor& grads, double clip);
}
namespace cuda {  // the same on a stream: cuda/grad_norm.cu
void grad_norm(Tensor& norm, Tensor& scale, const Tensor& grads, double clip, Stream stream);
}
}  // namespace gmail
