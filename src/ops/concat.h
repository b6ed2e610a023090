// Joining along a dimension, and its inverse, cutting a piece out. Both are copies between a whole and a
// piece that stands in it at `begin` along `dim` (negative counts from the end):
//   (1)  slice:   y = x[.., begin : begin + n, ..],   n = size of y along dim;   concat: y[piece k] = part_k
//   (2)  slice:   dx = dy inside the piece, 0 outside;                       concat: dpart_k = dy[piece k]
#pragma once

#include <vector>

#include "ops/grad.h"

namespace gmail {

// The whole seen as (outer, width), the piece as the columns offset .. offset + piece of it.
struct PieceSizes {
  int64_t outer, width, piece, offset;
};
[[nodiscard]] PieceSizes piece_sizes(const Tensor& whole, const Tensor& piece, int dim,
                                     int64_t begin);  // checks them

namespace cpu {

void concat_forward(Tensor& y, const std::vector<Tensor>& parts, int dim);
void concat_backward(Grad dpart, const Tensor& dy, int dim,
                     int64_t begin);  // of the part that stands at begin
void slice_forward(Tensor& y, const Tensor& x, int dim, int64_t begin);
void slice_backward(Grad dx, const Tensor& dy, int dim, int64_t begin);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/concat.cu
void concat_forward(Tensor& y, const std::vector<Tensor>& parts, int dim, Stream stream);
void concat_backward(Grad dpart, const Tensor& dy, int dim, int64_t begin, Stream stream);
void slice_forward(Tensor& y, const Tensor& x, int dim, int64_t begin, Stream stream);
void slice_backward(Grad dx, const Tensor& dy, int dim, int64_t begin, Stream stream);
}  // namespace cuda
}  // namespace gmail
