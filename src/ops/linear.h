// A linear layer on N rows: x (..., I), N = what precedes I; w (O, I) as in PyTorch; b (O) and
// residual (..., O) optional.
//   (1)  y = alpha x w^T + b + residual
//   (2)  dx = alpha dy w,   dw = alpha dy^T x,   db = sum_N dy      (residual: dy itself)
// An absent gradient costs no product: that is what a frozen weight saves. x is read for dw only, w for dx
// only.
#pragma once

#include "ops/grad.h"

namespace gmail {

struct LinearSizes {
  int64_t N, I, O;
};
[[nodiscard]] LinearSizes linear_sizes(const Tensor& x, const Tensor& w, const Tensor& b);  // checks them

namespace cpu {

void linear_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& residual,
                    double alpha);
void linear_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                     double alpha);
// multiply-adds of these two in this process so far: the tests of what is left out count them
[[nodiscard]] int64_t linear_multiply_adds();

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/linear.cu
void linear_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& residual,
                    double alpha, Stream stream);
void linear_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                     double alpha, Stream stream);
}  // namespace cuda
}  // namespace gmail
