// LayerNorm (Ba et al. 2016, arXiv:1607.06450, sec. 3). Per row of x (N, C):
//   (1)  y  = w * n + b,      n = (x - mu) * r,   mu = mean(x),   r = 1 / sqrt(mean((x - mu)^2) + eps)
//   (2)  dx = r * (g - mean(g) - n * mean(g * n)),   g = dy * w
//   (3)  dw = sum_N dy * n,   db = sum_N dy
// Saved for backward: mu, r (N). w and b (C) are optional, each on its own. x may have any rank: N is what
// precedes C.
#pragma once

#include "ops/grad.h"
#include "ops/row_sizes.h"

namespace gmail {

[[nodiscard]] RowSizes layer_norm_sizes(const Tensor& x, const Tensor& w, const Tensor& b);  // checks them

namespace cpu {
void layer_norm_forward(Tensor& y, Tensor& mu, Tensor& r, const Tensor& x, const Tensor& w, const Tensor& b,
                        double eps);
void layer_norm_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                         const Tensor& mu, const Tensor& r);

}  // namespace cpu

namespace cuda {
void layer_norm_forward(Tensor& y, Tensor& mu, Tensor& r, const Tensor& x, const Tensor& w, const Tensor& b,
                        double eps, Stream stream);
void layer_norm_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                         const Tensor& mu, const Tensor& r, Stream stream);
}  // namespace cuda
}  // namespace gmail
