#include "ops/softmax.h"

#include "rows.cuh"

namespace gmail::cuda {
namespace {

// eq. (1)
template <class T, int K, bool kWarpRow>
__global__ void __launch_bounds__(kRows* kWarp)
    forward_kernel(DeviceSpan<T> y, DeviceSpan<const T> x, int64_t N, int C) {
  using Threads = Team<kWarpRow>;
  const int64_t n = Threads::row();
  if (n >= N) return;
  const Row<T, K, kWarpRow> xs(x, n * C, C);
  float m = Max::kNone, sum = 0;
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> v = xs.at(j, c);
    for (int k = 0; k < K; ++k) m = Max::of(m, v[k]);
  });
  m = Threads::template reduce<Max>(m);
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> v = xs.at(j, c);
    for (int k = 0; k < K; ++k) sum += expf(v[k] - m);
  });
  const float inverse = 1 / Threads::template reduce<Sum>(sum);
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> v = xs.at(j, c);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = expf(v[k] - m) * inverse;
    write_pack<K>(y, n * C + c, out);
  });
}

// eq. (2)
template <class T, int K, bool kWarpRow>
__global__ void __launch_bounds__(kRows* kWarp, 1)
    backward_kernel(GradSpan<T> dx, DeviceSpan<const T> dy, DeviceSpan<const T> y, int64_t N, int C) {
  const int64_t n = Team<kWarpRow>::row();
  if (n >= N) return;
  const Row<T, K, kWarpRow> dys(dy, n * C, C), ys(y, n * C, C);
  const float dot = row_dot(dys, ys, C);
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> d = dys.at(j, c), p = ys.at(j, c);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = p[k] * (d[k] - dot);
    put_pack<K>(dx, n * C + c, out);
  });
}

}  // namespace

void softmax_forward(Tensor& y, const Tensor& x, Stream stream) {
  const auto [N, C] = softmax_sizes(y, x);
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    const auto ys = span<T>(y);
    const DeviceSpan<const T> xs = span<T>(x);
    with_row<T>(C, aligned(ys, xs), [&](auto width, auto warp_row) {
      launch_teams<warp_row.value>(stream, forward_kernel<T, width.value, warp_row.value>, N, ys, xs, N,
                                   static_cast<int>(C));
    });
  });
}

void softmax_backward(Grad dx, const Tensor& dy, const Tensor& y, Stream stream) {
  if (!dx) return;
  const auto [N, C] = softmax_sizes(dy, y);
  with_device_type(y.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    const GradSpan<T> dxs = grad<T>(dx);
    const DeviceSpan<const T> dys = span<T>(dy), ys = span<T>(y);
    with_row<T>(C, aligned(dxs, dys, ys), [&](auto width, auto warp_row) {
      launch_teams<warp_row.value>(stream, backward_kernel<T, width.value, warp_row.value>, N, dxs, dys, ys,
                                   N, static_cast<int>(C));
    });
  });
}

}  // namespace gmail::cuda
