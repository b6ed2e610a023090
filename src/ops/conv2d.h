// Two-dimensional convolution, channels last: x (B, H, W, I), w (O, I, kh, kw) as in PyTorch, b (O) optional,
// y (B, H', W', O) with H' = (H + 2 pad - kh) / stride + 1. Pixels outside x count as zero.
//   (1)  y[b,u,v,o] = b[o] + sum_{i,p,q} x[b, u stride + p - pad, v stride + q - pad, i] w[o,i,p,q]
//   (2)  dx[b,h,w,i] = sum_{o,p,q} dy[b, (h + pad - p) / stride, (w + pad - q) / stride, o] w[o,i,p,q]
//        over the p, q for which both divide
//   (3)  dw[o,i,p,q] = sum_{b,u,v} dy[b,u,v,o] x[b, u stride + p - pad, v stride + q - pad, i],   db = sum dy
// x is read for dw only, w for dx only.
#pragma once

#include "ops/grad.h"

namespace gmail {
namespace cpu {

void conv2d_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, int stride, int pad);
void conv2d_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                     int stride, int pad);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/conv2d.cu
void conv2d_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, int stride, int pad,
                    Stream stream);
void conv2d_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                     int stride, int pad, Stream stream);
}  // namespace cuda
}  // namespace gmail

namespace gmail {

// (B, H', W', O) of the above; throws on shapes that do not fit.
[[nodiscard]] Shape conv2d_shape(const Shape& x, const Shape& w, int stride, int pad);

}  // namespace gmail
