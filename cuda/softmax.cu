#include "ops/softmax.h"

#include "rows.cuh"

namespace gmail::cuda {
namespace {

// eq. (1)
template <class T>
__global__ void forward_kernel(DeviceSpan<T> y, DeviceSpan<const T> x, int64_t N, int64_t C) {
  const int64_t n = row();
  if (n >= N) return;
  float m = Max::kNone, sum = 0;
  for (int64_t c = lane(); c < C; c += kWarp) m = Max::of(m, load(x[n * C + c]));
  m = warp_reduce<Max>(m);
  for (int64_t c = lane(); c < C; c += kWarp) sum += expf(load(x[n * C + c]) - m);
  const float inverse = 1 / warp_reduce<Sum>(sum);
  for (int64_t c = lane(); c < C; c += kWarp) y[n * C + c] = store<T>(expf(load(x[n * C + c]) - m) * inverse);
}

// eq. (2)
template <class T>
__global__ void backward_kernel(GradSpan<T> dx, DeviceSpan<const T> dy, DeviceSpan<const T> y, int64_t N,
                                int64_t C) {
  const int64_t n = row();
  if (n >= N) return;
  float dot = 0;
  for (int64_t c = lane(); c < C; c += kWarp) dot += load(dy[n * C + c]) * load(y[n * C + c]);
  dot = warp_reduce<Sum>(dot);
  for (int64_t c = lane(); c < C; c += kWarp)
    dx.put(n * C + c, load(y[n * C + c]) * (load(dy[n * C + c]) - dot));
}

}  // namespace

void softmax_forward(Tensor& y, const Tensor& x, Stream stream) {
  const auto [N, C] = softmax_sizes(y, x);
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    launch_rows(stream, forward_kernel<T>, N, span<T>(y), span<T>(x), N, C);
  });
}

void softmax_backward(Grad dx, const Tensor& dy, const Tensor& y, Stream stream) {
  if (!dx) return;
  const auto [N, C] = softmax_sizes(dy, y);
  with_device_type(y.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    launch_rows(stream, backward_kernel<T>, N, grad<T>(dx), span<T>(dy), span<T>(y), N, C);
  });
}

}  // namespace gmail::cuda
