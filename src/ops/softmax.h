// Softmax over the last dimension. Per row of x (N, C), with m = max(x) for range:
//   (1)  y  = exp(x - m) / sum(exp(x - m))
//   (2)  dx = y (dy - sum(dy y))
// Saved for backward: y. A row of -inf only, or with a NaN, is NaN.
#pragma once

#include "ops/grad.h"
#include "ops/row_sizes.h"

namespace gmail {

[[nodiscard]] RowSizes softmax_sizes(const Tensor& y, const Tensor& x);  // checks them

namespace cpu {

void softmax_forward(Tensor& y, const Tensor& x);
void softmax_backward(Grad dx, const Tensor& dy, const Tensor& y);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/softmax.cu
void softmax_forward(Tensor& y, const Tensor& x, Stream stream);
void softmax_backward(Grad dx, const Tensor& dy, const Tensor& y, Stream stream);
}  // namespace cuda
}  // namespace gmail
