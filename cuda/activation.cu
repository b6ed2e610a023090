#include "ops/activation.h"

#include "activation_math.cuh"
#include "each.cuh"

namespace gmail::cuda {
namespace {

template <class F, class T>
struct Forward {
  DeviceSpan<T> y;
  DeviceSpan<const T> x;
  template <int K>
  __device__ void at(int64_t i) const {
    const Pack<T, K> v = read_pack<K>(x, i);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = F::value(v[k]);
    write_pack<K>(y, i, out);
  }
};

template <class F, class T>
struct Backward {
  GradSpan<T> dx;
  DeviceSpan<const T> dy, x;
  template <int K>
  __device__ void at(int64_t i) const {
    const Pack<T, K> d = read_pack<K>(dy, i), v = read_pack<K>(x, i);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = d[k] * F::slope(v[k]);
    put_pack<K>(dx, i, out);
  }
};

void check(const Tensor& a, const Tensor& b) {
  GMAIL_CHECK(a.shape() == b.shape(), "[activation] shapes differ: ", a.shape(), " and ", b.shape());
}

}  // namespace

void activation_forward(Tensor& y, const Tensor& x, Activation kind, Stream stream) {
  check(y, x);
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_activation(kind, [&](auto f) {
      const Forward<decltype(f), T> op{span<T>(y), span<T>(x)};
      each<kWide<T>>(op, x.numel(), aligned(op.y, op.x), stream);
    });
  });
}

void activation_backward(Grad dx, const Tensor& dy, const Tensor& x, Activation kind, Stream stream) {
  if (!dx) return;
  check(dy, x);
  check(dx.t, x);
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_activation(kind, [&](auto f) {
      const Backward<decltype(f), T> op{grad<T>(dx), span<T>(dy), span<T>(x)};
      each<kWide<T>>(op, x.numel(), aligned(op.dx, op.dy, op.x), stream);
    });
  });
}

}  // namespace gmail::cuda
