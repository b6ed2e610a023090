// Rows of unit length. Per row of x (N, C), n = |x|:
//   (1)  y  = x / max(n, eps)
//   (2)  dx = (dy - y (y . dy)) / n   if n >= eps,   dy / eps otherwise
// Saved for backward: y and n (N).
#pragma once

#include "ops/grad.h"

namespace gmail::cpu {

void l2_normalize_forward(Tensor& y, Tensor& norm, const Tensor& x, double eps);
void l2_normalize_backward(Grad dx, const Tensor& dy, const Tensor& y, const Tensor& norm, double eps);

}  // namespace gmail::cpu
