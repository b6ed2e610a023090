// Sums and products element by element; a and b broadcast as in NumPy: aligned at the last dimension, a size
// 1 or a missing dimension is repeated. R_a sums over the dimensions in which a was repeated.
//   (1)  y = a + b        da = R_a(dy),     db = R_b(dy)
//   (2)  y = a b          da = R_a(dy b),   db = R_b(dy a)
//   (3)  y = factor x     dx = factor dy
//   (4)  accumulate       g = x, or g += x, as the Grad says
// Sums have a fixed order. In (2) da is finished before db is begun, so both may be the same tensor.
#pragma once

#include "ops/grad.h"

namespace gmail {

[[nodiscard]] Shape broadcast_shape(const Shape& a, const Shape& b);

namespace cpu {
void add_forward(Tensor& y, const Tensor& a, const Tensor& b);
void add_backward(Grad da, const Tensor& dy);  // of either side
void mul_forward(Tensor& y, const Tensor& a, const Tensor& b);
void mul_backward(Grad da, Grad db, const Tensor& dy, const Tensor& a, const Tensor& b);
void scale_forward(Tensor& y, const Tensor& x, double factor);
void scale_backward(Grad dx, const Tensor& dy, double factor);
void accumulate(Grad g, const Tensor& x);
}  // namespace cpu
}  // namespace gmail
