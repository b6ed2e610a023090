// The two layers of a transformer's MLP on N rows with an activation between them, x (..., I), w1 (H, I),
// w2 (O, H); b1 (H), b2 (O) and residual (..., O) optional. One op, so that a backend applies the activation
// where it stores the product:
//   (1)  h = x w1^T + b1,   a = act(h),   y = a w2^T + b2 + residual
//   (2)  dw2 = dy^T a,   db2 = sum_N dy,   dh = (dy w2) act'(h)                        (residual: dy itself)
//   (3)  dx = dh w1,   dw1 = dh^T x,   db1 = sum_N dh
// Saved for backward: h, and a and x if dw2 and dw1 are asked for. ops/linear.h and ops/activation.h are the
// parts.
#pragma once

#include "ops/activation.h"
#include "ops/grad.h"

namespace gmail {

struct MlpGrads {
  Grad dx, dw1, db1, dw2, db2;
};

namespace cpu {
// y (..., O), h and a (..., H) are written
void mlp_forward(Tensor& y, Tensor& h, Tensor& a, const Tensor& x, const Tensor& w1, const Tensor& b1,
                 const Tensor& w2, const Tensor& b2, const Tensor& residual, Activation act);
// da and dh: scratch like h
void mlp_backward(const MlpGrads& grads, Tensor& da, Tensor& dh, const Tensor& dy, const Tensor& x,
                  const Tensor& h, const Tensor& a, const Tensor& w1, const Tensor& w2, Activation act);
}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/mlp.cu
void mlp_forward(Tensor& y, Tensor& h, Tensor& a, const Tensor& x, const Tensor& w1, const Tensor& b1,
                 const Tensor& w2, const Tensor& b2, const Tensor& residual, Activation act, Stream stream);
void mlp_backward(const MlpGrads& grads, Tensor& da, Tensor& dh, const Tensor& dy, const Tensor& x,
                  const Tensor& h, const Tensor& a, const Tensor& w1, const Tensor& w2, Activation act,
                  Stream stream);
}  // namespace cuda
}  // namespace gmail
