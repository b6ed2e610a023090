// Joining along a dimension, and its inverse, cutting a piece out. Both are copies between a whole and a
// piece that stands in it at `begin` along `dim` (negative counts from the end):
//   (1)  slice:   y = x[.., begin : begin + n, ..],   n = size of y along dim;   concat: y[piece k] = part_k
//   (2)  slice:   dx = dy inside the piece, 0 outside;                       concat: dpart_k = dy[piece k]
#pragma once

#include <vector>

#include "ops/grad.h"

namespace gmail::cpu {

void concat_forward(Tensor& y, const std::vector<Tensor>& parts, int dim);
void concat_backward(Grad dpart, const Tensor& dy, int dim,
                     int64_t begin);  // of the part that stands at begin
void slice_forward(Tensor& y, const Tensor& x, int dim, int64_t begin);
void slice_backward(Grad dx, const Tensor& dy, int dim, int64_t begin);

}  // namespace gmail::cpu
