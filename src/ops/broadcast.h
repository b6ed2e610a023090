// Sums and products element by element; a and b broadcast as in NumPy: aligned at the last dimension, a size
// 1 or a missing dimension is repeated. R_a sums over the dimensions in which a was repeated.
//   (1)  y = a + b        da = R_a(dy),     db = R_b(dy)
//   (2)  y = a b          da = R_a(dy b),   db = R_b(dy a)
//   (3)  y = factor x     dx = factor dy
//   (4)  accumulate       g = x, or g += x, as the Grad says
// Sums have a fixed order. In (2) da is finished before db is begun, so both may be the same tensor.
#pragma once

#include <array>

#include "ops/grad.h"

namespace gmail {

[[nodiscard]] Shape broadcast_shape(const Shape& a, const Shape& b);

// y's dimensions with neighbours joined wherever each operand treats both alike (repeats them, or does not).
// A bias (C) becomes (N, C) with b's strides (0, 1); equal shapes become one long row.
struct BroadcastPlan {
  int rank = 0;
  std::array<int64_t, Shape::kMaxRank> size{}, a{}, b{};  // sizes of y, strides of a and b (0: repeated)
  int64_t rows = 1, width = 1;                            // all but the last joined dimension, and that one
};
[[nodiscard]] BroadcastPlan broadcast_plan(const Shape& y, const Shape& a, const Shape& b);  // checks them

namespace cpu {
void add_forward(Tensor& y, const Tensor& a, const Tensor& b);
void add_backward(Grad da, const Tensor& dy);  // of either side
void mul_forward(Tensor& y, const Tensor& a, const Tensor& b);
void mul_backward(Grad da, Grad db, const Tensor& dy, const Tensor& a, const Tensor& b);
void scale_forward(Tensor& y, const Tensor& x, double factor);
void scale_backward(Grad dx, const Tensor& dy, double factor);
void accumulate(Grad g, const Tensor& x);
}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/broadcast.cu
void add_forward(Tensor& y, const Tensor& a, const Tensor& b, Stream stream);
void add_backward(Grad da, const Tensor& dy, Stream stream);
void mul_forward(Tensor& y, const Tensor& a, const Tensor& b, Stream stream);
void mul_backward(Grad da, Grad db, const Tensor& dy, const Tensor& a, const Tensor& b, Stream stream);
void scale_forward(Tensor& y, const Tensor& x, double factor, Stream stream);
void scale_backward(Grad dx, const Tensor& dy, double factor, Stream stream);
void accumulate(Grad g, const Tensor& x, Stream stream);
}  // namespace cuda
}  // namespace gmail
