#include "ops/activation.h"

#include "activation_math.cuh"
#include "device_span.h"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

template <class F, class T>
__global__ void forward_kernel(DeviceSpan<T> y, DeviceSpan<const T> x, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) y[i] = store<T>(F::value(load(x[i])));
}

template <class F, class T>
__global__ void backward_kernel(GradSpan<T> dx, DeviceSpan<const T> dy, DeviceSpan<const T> x, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) dx.put(i, load(dy[i]) * F::slope(load(x[i])));
}

void check(const Tensor& a, const Tensor& b) {
  GMAIL_CHECK(a.shape() == b.shape(), "[activation] shapes differ: ", a.shape(), " and ", b.shape());
}

}  // namespace

void activation_forward(Tensor& y, const Tensor& x, Activation kind, Stream stream) {
  check(y, x);
  const int64_t n = x.numel();
  if (n == 0) return;
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_activation(kind, [&](auto f) {
      launch(stream, forward_kernel<decltype(f), T>, blocks_for(n, kThreads), kThreads, 0, span<T>(y),
             span<T>(x), n);
    });
  });
}

void activation_backward(Grad dx, const Tensor& dy, const Tensor& x, Activation kind, Stream stream) {
  const int64_t n = x.numel();
  if (!dx || n == 0) return;
  check(dy, x);
  check(dx.t, x);
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_activation(kind, [&](auto f) {
      launch(stream, backward_kernel<decltype(f), T>, blocks_for(n, kThreads), kThreads, 0, grad<T>(dx),
             span<T>(dy), span<T>(x), n);
    });
  });
}

}  // namespace gmail::cuda
