#include "ops/l2_normalize.h"

#include "rows.cuh"

namespace gmail::cuda {
namespace {

// eq. (1)
template <class T, int K, bool kWarpRow>
__global__ void __launch_bounds__(kRows* kWarp)
    forward_kernel(DeviceSpan<T> y, DeviceSpan<float> norm, DeviceSpan<const T> x, int64_t N, int C,
                   float eps) {
  using Threads = Team<kWarpRow>;
  const int64_t n = Threads::row();
  if (n >= N) return;
  const Row<T, K, kWarpRow> xs(x, n * C, C);
  float square = 0;
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> v = xs.at(j, c);
    for (int k = 0; k < K; ++k) square += v[k] * v[k];
  });
  const float length = sqrtf(Threads::template reduce<Sum>(square));
  const float inverse = 1 / (length < eps ? eps : length);
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> v = xs.at(j, c);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = v[k] * inverse;
    write_pack<K>(y, n * C + c, out);
  });
  if (Threads::lane() == 0) norm[n] = length;
}

// eq. (2)
template <class T, int K, bool kWarpRow>
__global__ void __launch_bounds__(kRows* kWarp, 1)
    backward_kernel(GradSpan<T> dx, DeviceSpan<const T> dy, DeviceSpan<const T> y,
                    DeviceSpan<const float> norm, int64_t N, int C, float eps) {
  const int64_t n = Team<kWarpRow>::row();
  if (n >= N) return;
  const Row<T, K, kWarpRow> dys(dy, n * C, C), ys(y, n * C, C);
  const float dot = row_dot(dys, ys, C);
  const bool constant = norm[n] < eps;
  const float inverse = 1 / (constant ? eps : norm[n]), along = constant ? 0 : dot;
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> d = dys.at(j, c), u = ys.at(j, c);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = (d[k] - u[k] * along) * inverse;
    put_pack<K>(dx, n * C + c, out);
  });
}

}  // namespace

void l2_normalize_forward(Tensor& y, Tensor& norm, const Tensor& x, double eps, Stream stream) {
  const auto [N, C] = l2_normalize_sizes(y, x, norm);
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    const auto ys = span<T>(y);
    const DeviceSpan<const T> xs = span<T>(x);
    with_row<T>(C, aligned(ys, xs), [&](auto width, auto warp_row) {
      launch_teams<warp_row.value>(stream, forward_kernel<T, width.value, warp_row.value>, N, ys,
                                   span<float>(norm), xs, N, static_cast<int>(C), static_cast<float>(eps));
    });
  });
}

void l2_normalize_backward(Grad dx, const Tensor& dy, const Tensor& y, const Tensor& norm, double eps,
                           Stream stream) {
  if (!dx) return;
  const auto [N, C] = l2_normalize_sizes(dy, y, norm);
  with_device_type(y.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    const GradSpan<T> dxs = grad<T>(dx);
    const DeviceSpan<const T> dys = span<T>(dy), ys = span<T>(y);
    with_row<T>(C, aligned(dxs, dys, ys), [&](auto width, auto warp_row) {
      launch_teams<warp_row.value>(stream, backward_kernel<T, width.value, warp_row.value>, N, dxs, dys, ys,
                                   span<float>(norm), N, static_cast<int>(C), static_cast<float>(eps));
    });
  });
}

}  // namespace gmail::cuda
