#include "ops/resample.h"

#include "each.cuh"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

// eq. (1); i runs over x (B, H, W, C): each pack is read once and written to its four places in y
template <class T>
struct Upsample {
  DeviceSpan<T> y;
  DeviceSpan<const T> x;
  GridSizes s;
  // the first of the four; the others are s.C and a line of y on
  __device__ int64_t corner(int64_t i) const {
    const int64_t token = i / s.C, h = token / s.W, w = token - h * s.W;  // h runs over (b, H)
    return (4 * h * s.W + 2 * w) * s.C + (i - token * s.C);
  }
  template <int K>
  __device__ void at(int64_t i) const {
    const Pack<T, K> v = read_pack<K>(x, i);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = v[k];
    const int64_t begin = corner(i), line = 2 * s.W * s.C;
    write_pack<K>(y, begin, out);
    write_pack<K>(y, begin + s.C, out);
    write_pack<K>(y, begin + line, out);
    write_pack<K>(y, begin + line + s.C, out);
  }
};

// eq. (2); i runs over x (B, H, W, C)
template <class T>
struct UpsampleGradient {
  GradSpan<T> dx;
  Upsample<const T> from;  // y is dy
  template <int K>
  __device__ void at(int64_t i) const {
    const int64_t begin = from.corner(i), line = 2 * from.s.W * from.s.C, C = from.s.C;
    const Pack<T, K> a = read_pack<K>(from.y, begin), b = read_pack<K>(from.y, begin + C);
    const Pack<T, K> c = read_pack<K>(from.y, begin + line), d = read_pack<K>(from.y, begin + line + C);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = (a[k] + b[k]) + (c[k] + d[k]);
    put_pack<K>(dx, i, out);
  }
};

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
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Upsample<T> op{span<T>(y), span<T>(x), s};
    each<kWide<T>>(op, x.numel(), s.C % kWide<T> == 0 && aligned(op.y, op.x), stream);
  });
}

void upsample_nearest_backward(Grad dx, const Tensor& dy, Stream stream) {
  if (!dx) return;
  const GridSizes s = grid_sizes("upsample_nearest", dx.t, dy, 2, 1);
  with_device_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const UpsampleGradient<T> op{grad<T>(dx), {span<T>(dy), {}, s}};
    each<kWide<T>>(op, dx.t.numel(), s.C % kWide<T> == 0 && aligned(op.dx, op.from.y), stream);
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
