// Exponential moving average (Polyak & Juditsky 1992) of p (N) float32:
//   (1)  e <- d e + (1 - d) p
// factors (2) = {d, 1 - d} is a tensor, so that a launch that was recorded once does every step.
#pragma once

#include "core/tensor.h"

namespace gmail {

int64_t ema_size(const Tensor& e, const Tensor& p, const Tensor& factors);  // checks them; elements

namespace cpu {
void ema(Tensor& e, const Tensor& p, const Tensor& factors);
}
namespace cuda {  // the same on a stream: cuda/ema.cu
void ema(Tensor& e, const Tensor& p, const Tensor& factors, Stream stream);
}
}  // namespace gmail
