#include "ops/gather_rows.h"

#include "device_span.h"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

// eq. (1); i runs over (B, C). An index that is none gives NaN.
template <class T>
__global__ void forward_kernel(DeviceSpan<T> y, DeviceSpan<const T> x, DeviceSpan<const int32_t> index,
                               GatherSizes s) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= s.B * s.C) return;
  const int64_t b = i / s.C, t = index[b];
  y[i] = t >= 0 && t < s.T ? x[(b * s.T + t) * s.C + i % s.C] : store<T>(__uint_as_float(0x7fc00000U));
}

// eq. (2) added to what is there: one token a row changes; i runs over (B, C)
template <class T>
__global__ void add_kernel(GradSpan<T> dx, DeviceSpan<const T> dy, DeviceSpan<const int32_t> index,
                           GatherSizes s) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= s.B * s.C) return;
  const int64_t b = i / s.C, t = index[b];
  if (t >= 0 && t < s.T) dx.put((b * s.T + t) * s.C + i % s.C, load(dy[i]));
}

// eq. (2); i runs over (B, T, C)
template <class T>
__global__ void backward_kernel(GradSpan<T> dx, DeviceSpan<const T> dy, DeviceSpan<const int32_t> index,
                                GatherSizes s) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= s.B * s.T * s.C) return;
  const int64_t b = i / (s.T * s.C), t = i / s.C % s.T;
  dx.put(i, t == index[b] ? load(dy[b * s.C + i % s.C]) : 0.0F);
}

}  // namespace

void gather_rows_forward(Tensor& y, const Tensor& x, const Tensor& index, Stream stream) {
  const GatherSizes s = gather_rows_sizes(x, index, y);
  if (y.numel() == 0) return;
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, forward_kernel<T>, blocks_for(y.numel(), kThreads), kThreads, 0, span<T>(y), span<T>(x),
           span<int32_t>(index), s);
  });
}

void gather_rows_backward(Grad dx, const Tensor& dy, const Tensor& index, Stream stream) {
  if (!dx) return;
  const GatherSizes s = gather_rows_sizes(dx.t, index, dy);
  if (dx.t.numel() == 0) return;
  with_device_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (dx.add)
      return launch(stream, add_kernel<T>, blocks_for(dy.numel(), kThreads), kThreads, 0, grad<T>(dx),
                    span<T>(dy), span<int32_t>(index), s);
    launch(stream, backward_kernel<T>, blocks_for(dx.t.numel(), kThreads), kThreads, 0, grad<T>(dx),
           span<T>(dy), span<int32_t>(index), s);
  });
}

}  // namespace gmail::cuda
