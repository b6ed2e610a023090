#include "ops/l2_normalize.h"

#include "rows.cuh"

namespace gmail::cuda {
namespace {

// eq. (1)
template <class T>
__global__ void forward_kernel(DeviceSpan<T> y, DeviceSpan<float> norm, DeviceSpan<const T> x, int64_t N,
                               int64_t C, float eps) {
  const int64_t n = row();
  if (n >= N) return;
  float square = 0;
  for (int64_t c = lane(); c < C; c += kWarp) {
    const float v = load(x[n * C + c]);
    square += v * v;
  }
  const float length = sqrtf(warp_reduce<Sum>(square)), inverse = 1 / (length < eps ? eps : length);
  for (int64_t c = lane(); c < C; c += kWarp) y[n * C + c] = store<T>(load(x[n * C + c]) * inverse);
  if (lane() == 0) norm[n] = length;
}

// eq. (2)
template <class T>
__global__ void backward_kernel(GradSpan<T> dx, DeviceSpan<const T> dy, DeviceSpan<const T> y,
                                DeviceSpan<const float> norm, int64_t N, int64_t C, float eps) {
  const int64_t n = row();
  if (n >= N) return;
  float dot = 0;
  for (int64_t c = lane(); c < C; c += kWarp) dot += load(dy[n * C + c]) * load(y[n * C + c]);
  dot = warp_reduce<Sum>(dot);
  const bool constant = norm[n] < eps;
  const float inverse = 1 / (constant ? eps : norm[n]), along = constant ? 0 : dot;
  for (int64_t c = lane(); c < C; c += kWarp)
    dx.put(n * C + c, (load(dy[n * C + c]) - load(y[n * C + c]) * along) * inverse);
}

}  // namespace

void l2_normalize_forward(Tensor& y, Tensor& norm, const Tensor& x, double eps, Stream stream) {
  const auto [N, C] = l2_normalize_sizes(y, x, norm);
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    launch_rows(stream, forward_kernel<T>, N, span<T>(y), span<float>(norm), span<T>(x), N, C,
                static_cast<float>(eps));
  });
}

void l2_normalize_backward(Grad dx, const Tensor& dy, const Tensor& y, const Tensor& norm, double eps,
                           Stream stream) {
  if (!dx) return;
  const auto [N, C] = l2_normalize_sizes(dy, y, norm);
  with_device_type(y.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    launch_rows(stream, backward_kernel<T>, N, grad<T>(dx), span<T>(dy), span<T>(y), span<float>(norm), N, C,
                static_cast<float>(eps));
  });
}

}  // namespace gmail::cuda
