// Changes of an image's grid. Channels last, x (B, H, W, C).
//   (1)  upsample_nearest   y[b, 2h + i, 2w + j, c] = x[b, h, w, c],   i, j in {0, 1}
//   (2)                     dx[b, h, w, c] = sum_ij dy[b, 2h + i, 2w + j, c]
//   (3)  pixel_shuffle      y[b, h r + i, w r + j, c] = x[b, h, w, c r r + i r + j]       x (B, H, W, C r r)
//   (4)  pixel_unshuffle    the inverse of (3)
// (3): Shi et al. 2016, arXiv:1609.05158. Each of (3) and (4) is the gradient of the other.
#pragma once

#include "ops/grad.h"

namespace gmail {

// The coarse grid (B, H, W), and the channels C of the fine one.
struct GridSizes {
  int64_t B, H, W, C;
};
[[nodiscard]] GridSizes grid_sizes(const char* op, const Tensor& coarse, const Tensor& fine, int64_t r,
                                   int64_t channels_factor);  // checks them

namespace cpu {

void upsample_nearest_forward(Tensor& y, const Tensor& x);
void upsample_nearest_backward(Grad dx, const Tensor& dy);
void pixel_shuffle_forward(Tensor& y, const Tensor& x, int r);
void pixel_shuffle_backward(Grad dx, const Tensor& dy, int r);
void pixel_unshuffle_forward(Tensor& y, const Tensor& x, int r);
void pixel_unshuffle_backward(Grad dx, const Tensor& dy, int r);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/resample.cu
void upsample_nearest_forward(Tensor& y, const Tensor& x, Stream stream);
void upsample_nearest_backward(Grad dx, const Tensor& dy, Stream stream);
void pixel_shuffle_forward(Tensor& y, const Tensor& x, int r, Stream stream);
void pixel_shuffle_backward(Grad dx, const Tensor& dy, int r, Stream stream);
void pixel_unshuffle_forward(Tensor& y, const Tensor& x, int r, Stream stream);
void pixel_unshuffle_backward(Grad dx, const Tensor& dy, int r, Stream stream);
}  // namespace cuda
}  // namespace gmail
