#include "ops/geglu.h"

#include "activation_math.cuh"
#include "device_span.h"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

// eq. (1); i runs over (N, C)
template <class T>
__global__ void forward_kernel(DeviceSpan<T> y, DeviceSpan<const T> x, int64_t N, int64_t C) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= N * C) return;
  const int64_t v = i / C * 2 * C + i % C, g = v + C;
  y[i] = store<T>(load(x[v]) * GeluErf::value(load(x[g])));
}

// eq. (2)
template <class T>
__global__ void backward_kernel(GradSpan<T> dx, DeviceSpan<const T> dy, DeviceSpan<const T> x, int64_t N,
                                int64_t C) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= N * C) return;
  const int64_t v = i / C * 2 * C + i % C, g = v + C;
  const float d = load(dy[i]), gate = load(x[g]);
  dx.put(v, d * GeluErf::value(gate));
  dx.put(g, d * load(x[v]) * GeluErf::slope(gate));
}

}  // namespace

void geglu_forward(Tensor& y, const Tensor& x, Stream stream) {
  const auto [N, C] = geglu_sizes(x, y);
  if (N * C == 0) return;
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    launch(stream, forward_kernel<T>, blocks_for(N * C, kThreads), kThreads, 0, span<T>(y), span<T>(x), N, C);
  });
}

void geglu_backward(Grad dx, const Tensor& dy, const Tensor& x, Stream stream) {
  const auto [N, C] = geglu_sizes(x, dy);
  if (!dx || N * C == 0) return;
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    launch(stream, backward_kernel<T>, blocks_for(N * C, kThreads), kThreads, 0, grad<T>(dx), span<T>(dy),
           span<T>(x), N, C);
  });
}

}  // namespace gmail::cuda
