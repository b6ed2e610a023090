// One token of each sequence. x (B, T, C), index (B) int32, y (B, C):
//   (1)  y_b = x[b, index_b]
//   (2)  dx[b, t] = dy_b if t = index_b, else 0
#pragma once

#include "ops/grad.h"

namespace gmail::cpu {

void gather_rows_forward(Tensor& y, const Tensor& x, const Tensor& index);
void gather_rows_backward(Grad dx, const Tensor& dy, const Tensor& index);

}  // namespace gmail::cpu
