// GroupNorm (Wu & He 2018, arXiv:1803.08494), channels last. x (B, ..., C), S positions between B and C, C
// cut into groups of D neighbouring channels; mu and r belong to one b and one group, means go over its
// S D elements:
//   (1)  u  = w n + b,   n = (x - mu) r,   mu = mean(x),   r = 1 / sqrt(mean((x - mu)^2) + eps)
//        y  = u,   or with silu   y = u s(u),   s the logistic function
//   (2)  dx = r (h - mean(h) - n mean(h n)),   h = g w,   g = dy,   or with silu   g = dy (s + u s (1 - s))
//   (3)  dw = sum g n,   db = sum g,   over all b and positions
// Saved for backward: mu, r (B, groups). w and b (C) are optional, each on its own. The variance is taken
// around the mean block by block and joined as in Chan et al. 1979, so a large mean costs no digits.
#pragma once

#include "ops/grad.h"

namespace gmail {
struct GroupNormSizes {
  int64_t B, S, C, G;
};
// checks them
[[nodiscard]] GroupNormSizes group_norm_sizes(const Tensor& x, const Tensor& w, const Tensor& b,
                                              const Tensor& mu, const Tensor& r, int groups);

namespace cpu {

void group_norm_forward(Tensor& y, Tensor& mu, Tensor& r, const Tensor& x, const Tensor& w, const Tensor& b,
                        int groups, double eps, bool silu);
void group_norm_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                         const Tensor& b, const Tensor& mu, const Tensor& r, int groups, bool silu);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/group_norm.cu
void group_norm_forward(Tensor& y, Tensor& mu, Tensor& r, const Tensor& x, const Tensor& w, const Tensor& b,
                        int groups, double eps, bool silu, Stream stream);
void group_norm_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                         const Tensor& b, const Tensor& mu, const Tensor& r, int groups, bool silu,
                         Stream stream);
}  // namespace cuda
}  // namespace gmail
