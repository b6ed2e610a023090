// Softmax over the last dimension. Per row of x (N, C), with m = max(x) for range:
//   (1)  y  = exp(x - m) / sum(exp(x - m))
//   (2)  dx = y (dy - sum(dy y))
// Saved for backward: y. A row of -inf only, or with a NaN, is NaN.
#pragma once

#include "ops/grad.h"

namespace gmail::cpu {

void softmax_forward(Tensor& y, const Tensor& x);
void softmax_backward(Grad dx, const Tensor& dy, const Tensor& y);

}  // namespace gmail::cpu
