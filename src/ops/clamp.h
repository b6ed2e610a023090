// Every element between two bounds, in place; a NaN stays one. For the logit scale, which CLIP keeps below
// ln 100 after each step (Radford et al. 2021, sec. 2.5):
//   (1)  x <- min(max(x, low), high)
#pragma once

#include "core/tensor.h"

namespace gmail {
namespace cpu {
void clamp(Tensor& x, double low, double high);  // float32
}
namespace cuda {  // the same on a stream: cuda/clamp.cu
void clamp(Tensor& x, double low, double high, Stream stream);
}
}  // namespace gmail
