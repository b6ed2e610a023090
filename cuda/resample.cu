#include "ops/resample.h"

#include "device_span.h"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

// eq. (1); i runs over y (B, 2H, 2W, C)
template <class T>
__global__ void upsample_kernel(DeviceSpan<T> y, DeviceSpan<const T> x, GridSizes s) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= 4 * s.B * s.H * s.W * s.C) return;
  const int64_t c = i % s.C, w = i / s.C % (2 * s.W), h = i / (s.C * 2 * s.W);  // h runs over (b, 2H)
  y[i] = x[(h / 2 * s.W + w / 2) * s.C + c];
}

// eq. (2); i runs over x (B, H, W, C)
template <class T>
__global__ void upsample_gradient(GradSpan<T> dx, DeviceSpan<const T> dy, GridSizes s) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= s.B * s.H * s.W * s.C) return;
  const int64_t c = i % s.C, w = i / s.C % s.W, h = i / (s.C * s.W);
  const int64_t line = 2 * s.W * s.C, at = 2 * h * line + 2 * w * s.C + c;
  dx.put(i, (load(dy[at]) + load(dy[at + s.C])) + (load(dy[at + line]) + load(dy[at + line + s.C])));
}

// Where element i of the fine image (B, H r, W r, C) stands in the coarse one (B, H, W, C r r): eq. (3).
__device__ int64_t coarse_index(int64_t i, GridSizes s, int64_t r) {
  const int64_t c = i % s.C, w = i / s.C % (s.W * r), h = i / (s.C * s.W * r);  // h runs over (b, H r)
  return ((h / r * s.W + w / r) * s.C + c) * r * r + h % r * r + w % r;
}

template <class T>
__global__ void to_fine_kernel(GradSpan<T> fine, DeviceSpan<const T> coarse, GridSizes s, int64_t r) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < s.B * s.H * s.W * s.C * r * r) fine.put(i, load(coarse[coarse_index(i, s, r)]));
}

template <class T>
__global__ void to_coarse_kernel(GradSpan<T> coarse, DeviceSpan<const T> fine, GridSizes s, int64_t r) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < s.B * s.H * s.W * s.C * r * r) coarse.put(coarse_index(i, s, r), load(fine[i]));
}

void shuffle(const char* op, Grad fine, const Tensor& coarse, int r, Stream stream) {
  const GridSizes s = grid_sizes(op, coarse, fine.t, r, int64_t{r} * r);
  if (coarse.numel() == 0) return;
  with_device_type(coarse.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, to_fine_kernel<T>, blocks_for(coarse.numel(), kThreads), kThreads, 0, grad<T>(fine),
           span<T>(coarse), s, r);
  });
}

void unshuffle(const char* op, Grad coarse, const Tensor& fine, int r, Stream stream) {
  const GridSizes s = grid_sizes(op, coarse.t, fine, r, int64_t{r} * r);
  if (fine.numel() == 0) return;
  with_device_type(fine.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, to_coarse_kernel<T>, blocks_for(fine.numel(), kThreads), kThreads, 0, grad<T>(coarse),
           span<T>(fine), s, r);
  });
}

}  // namespace

void upsample_nearest_forward(Tensor& y, const Tensor& x, Stream stream) {
  const GridSizes s = grid_sizes("upsample_nearest", x, y, 2, 1);
  if (y.numel() == 0) return;
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, upsample_kernel<T>, blocks_for(y.numel(), kThreads), kThreads, 0, span<T>(y), span<T>(x),
           s);
  });
}

void upsample_nearest_backward(Grad dx, const Tensor& dy, Stream stream) {
  if (!dx) return;
  const GridSizes s = grid_sizes("upsample_nearest", dx.t, dy, 2, 1);
  if (dx.t.numel() == 0) return;
  with_device_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, upsample_gradient<T>, blocks_for(dx.t.numel(), kThreads), kThreads, 0, grad<T>(dx),
           span<T>(dy), s);
  });
}

void pixel_shuffle_forward(Tensor& y, const Tensor& x, int r, Stream stream) {
  shuffle("pixel_shuffle", {y, false}, x, r, stream);
}
void pixel_shuffle_backward(Grad dx, const Tensor& dy, int r, Stream stream) {
  if (dx) unshuffle("pixel_shuffle", dx, dy, r, stream);
}
void pixel_unshuffle_forward(Tensor& y, const Tensor& x, int r, Stream stream) {
  unshuffle("pixel_unshuffle", {y, false}, x, r, stream);
}
void pixel_unshuffle_backward(Grad dx, const Tensor& dy, int r, Stream stream) {
  if (dx) shuffle("pixel_unshuffle", dx, dy, r, stream);
}

}  // namespace gmail::cuda
