// Rows of unit length. Per row of x (N, C), n = |x|:
//   (1)  y  = x / max(n, eps)
//   (2)  dx = (dy - y (y . dy)) / n   if n >= eps,   dy / eps otherwise
// Saved for backward: y and n (N).
#pragma once

#include "ops/grad.h"
#include "ops/row_sizes.h"

namespace gmail {

[[nodiscard]] RowSizes l2_normalize_sizes(const Tensor& y, const Tensor& x,
                                          const Tensor& norm);  // checks them

namespace cpu {

void l2_normalize_forward(Tensor& y, Tensor& norm, const Tensor& x, double eps);
void l2_normalize_backward(Grad dx, const Tensor& dy, const Tensor& y, const Tensor& norm, double eps);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/l2_normalize.cu
void l2_normalize_forward(Tensor& y, Tensor& norm, const Tensor& x, double eps, Stream stream);
void l2_normalize_backward(Grad dx, const Tensor& dy, const Tensor& y, const Tensor& norm, double eps,
                           Stream stream);
}  // namespace cuda
}  // namespace gmail
