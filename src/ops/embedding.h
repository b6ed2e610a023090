// Look-up of rows. table (V, C), ids (...) int32, y (..., C):
//   (1)  y_i = table[ids_i]
//   (2)  dtable_v = sum of dy_i over the i with ids_i = v, in the order of i
// An id outside 0 .. V-1 is an error that names its position.
#pragma once

#include "ops/grad.h"

namespace gmail::cpu {

void embedding_forward(Tensor& y, const Tensor& table, const Tensor& ids);
void embedding_backward(Grad dtable, const Tensor& dy, const Tensor& ids);

}  // namespace gmail::cpu
