#include "ops/layer_norm.h"

#include "column_sums.cuh"
#include "rows.cuh"

namespace gmail::cuda {
namespace {

// eq. (1)
template <class T>
__global__ void forward_kernel(DeviceSpan<T> y, DeviceSpan<float> mu, DeviceSpan<float> r,
                               DeviceSpan<const T> x, DeviceSpan<const float> w, DeviceSpan<const float> b,
                               int64_t N, int64_t C, float eps) {
  const int64_t n = row();
  if (n >= N) return;
  float sum = 0, square = 0;
  for (int64_t c = lane(); c < C; c += kWarp) sum += load(x[n * C + c]);
  const float mean = warp_reduce<Sum>(sum) / static_cast<float>(C);
  for (int64_t c = lane(); c < C; c += kWarp) {
    const float d = load(x[n * C + c]) - mean;
    square += d * d;
  }
  const float rstd = 1 / sqrtf(warp_reduce<Sum>(square) / static_cast<float>(C) + eps);
  for (int64_t c = lane(); c < C; c += kWarp) {
    const float v = (load(x[n * C + c]) - mean) * rstd;
    y[n * C + c] = store<T>((w ? w[c] * v : v) + (b ? b[c] : 0.0F));
  }
  if (lane() == 0) {
    mu[n] = mean;
    r[n] = rstd;
  }
}

// eq. (2)
template <class T>
__global__ void backward_kernel(GradSpan<T> dx, DeviceSpan<const T> dy, DeviceSpan<const T> x,
                                DeviceSpan<const float> w, DeviceSpan<const float> mu,
                                DeviceSpan<const float> r, int64_t N, int64_t C) {
  const int64_t n = row();
  if (n >= N) return;
  const float mean = mu[n], rstd = r[n];
  float sum_g = 0, sum_gn = 0;
  for (int64_t c = lane(); c < C; c += kWarp) {
    const float g = load(dy[n * C + c]) * (w ? w[c] : 1.0F);
    sum_g += g;
    sum_gn += g * (load(x[n * C + c]) - mean) * rstd;
  }
  const float mean_g = warp_reduce<Sum>(sum_g) / static_cast<float>(C);
  const float mean_gn = warp_reduce<Sum>(sum_gn) / static_cast<float>(C);
  for (int64_t c = lane(); c < C; c += kWarp) {
    const float g = load(dy[n * C + c]) * (w ? w[c] : 1.0F), v = (load(x[n * C + c]) - mean) * rstd;
    dx.put(n * C + c, rstd * (g - mean_g - v * mean_gn));
  }
}

// eq. (3): the terms of dw and db
template <class T>
struct Terms {
  DeviceSpan<const T> dy, x;
  DeviceSpan<const float> mu, r;
  int64_t C;
  __device__ void operator()(int64_t n, int64_t c, float (&v)[2]) const {
    const float g = load(dy[n * C + c]);
    v[0] = g * (load(x[n * C + c]) - mu[n]) * r[n];
    v[1] = g;
  }
};

}  // namespace

void layer_norm_forward(Tensor& y, Tensor& mu, Tensor& r, const Tensor& x, const Tensor& w, const Tensor& b,
                        double eps, Stream stream) {
  const auto [N, C] = layer_norm_sizes(x, w, b);
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    launch_rows(stream, forward_kernel<T>, N, span<T>(y), span<float>(mu), span<float>(r), span<T>(x),
                span<float>(w), span<float>(b), N, C, static_cast<float>(eps));
  });
}

void layer_norm_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                         const Tensor& mu, const Tensor& r, Stream stream) {
  const auto [N, C] = layer_norm_sizes(x, w, Tensor());
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    if (dx && N > 0)
      launch(stream, backward_kernel<T>, blocks_for(N, kRows), kRows * kWarp, 0, grad<T>(dx), span<T>(dy),
             span<T>(x), span<float>(w), span<float>(mu), span<float>(r), N, C);
    if (dw || db)
      column_sums<2>({grad<float>(dw), grad<float>(db)},
                     Terms<T>{span<T>(dy), span<T>(x), span<float>(mu), span<float>(r), C}, N, C, stream);
  });
}

}  // namespace gmail::cuda
