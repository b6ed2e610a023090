#include "ops/geglu.h"

#include "activation_math.cuh"
#include "each.cuh"

namespace gmail::cuda {
namespace {

// eq. (1); i runs over (N, C)
template <class T>
struct Forward {
  DeviceSpan<T> y;
  DeviceSpan<const T> x;
  int64_t C;
  template <int K>
  __device__ void at(int64_t i) const {
    const int64_t value_at = i + i / C * C;
    const Pack<T, K> v = read_pack<K>(x, value_at), g = read_pack<K>(x, value_at + C);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = v[k] * GeluErf::value(g[k]);
    write_pack<K>(y, i, out);
  }
};

// eq. (2)
template <class T>
struct Backward {
  GradSpan<T> dx;
  DeviceSpan<const T> dy, x;
  int64_t C;
  template <int K>
  __device__ void at(int64_t i) const {
    const int64_t value_at = i + i / C * C;
    const Pack<T, K> d = read_pack<K>(dy, i), v = read_pack<K>(x, value_at),
                     g = read_pack<K>(x, value_at + C);
    float dv[K], dg[K];
    for (int k = 0; k < K; ++k) {
      dv[k] = d[k] * GeluErf::value(g[k]);
      dg[k] = d[k] * v[k] * GeluErf::slope(g[k]);
    }
    put_pack<K>(dx, value_at, dv);
    put_pack<K>(dx, value_at + C, dg);
  }
};

}  // namespace

void geglu_forward(Tensor& y, const Tensor& x, Stream stream) {
  const auto [N, C] = geglu_sizes(x, y);
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    const Forward<T> op{span<T>(y), span<T>(x), C};
    each<kWide<T>>(op, N * C, C % kWide<T> == 0 && aligned(op.y, op.x), stream);
  });
}

void geglu_backward(Grad dx, const Tensor& dy, const Tensor& x, Stream stream) {
  const auto [N, C] = geglu_sizes(x, dy);
  if (!dx) return;
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    const Backward<T> op{grad<T>(dx), span<T>(dy), span<T>(x), C};
    each<kWide<T>>(op, N * C, C % kWide<T> == 0 && aligned(op.dx, op.dy, op.x), stream);
  });
}

}  // namespace gmail::cuda
