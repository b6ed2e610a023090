// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101, alg. 2), in the form of PyTorch's, over flat blocks
// (N) float32: parameters p, moments m and v, gradients g. At step t = 1, 2, ..:
//   (1)  p <- p (1 - lr wd)                     for the first `decayed` elements; not scaled by the gradient
//   (2)  m <- b1 m + (1 - b1) h,   v <- b2 v + (1 - b2) h^2,   h = scale g
//   (3)  p <- p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
// scale (1) is that of ops/grad_norm.h: where it is NaN nothing changes. The factors (8) are worked out in
// double on the host (train/adamw.h) and read from a tensor, so that a launch that was recorded once does
// every step.
#pragma once

#include "core/tensor.h"

namespace gmail {

struct AdamWFactors {
  float keep;  // 1 - lr wd
  float b1, one_minus_b1, b2, one_minus_b2;
  float step;             // lr / (1 - b1^t)
  float root_correction;  // 1 / sqrt(1 - b2^t)
  float eps;
};
constexpr int64_t kAdamWFactors = sizeof(AdamWFactors) / sizeof(float);

// Checks types and sizes; the number of elements.
int64_t adamw_size(const Tensor& p, const Tensor& m, const Tensor& v, const Tensor& grads,
                   const Tensor& scale, const Tensor& factors, int64_t decayed);

namespace cpu {
void adamw(Tensor& p, Tensor& m, Tensor& v, const Tensor& grads, const Tensor& scale, const Tensor& factors,
           int64_t decayed);
}
namespace cuda {  // the same on a stream: cuda/adamw.cu
void adamw(Tensor& p, Tensor& m, Tensor& v, const Tensor& grads, const Tensor& scale, const Tensor& factors,
           int64_t decayed, Stream stream);
}
}  // namespace gmail
