#include "ops/layer_norm.h"

#include <algorithm>

#include "column_sums.cuh"
#include "rows.cuh"

namespace gmail::cuda {
namespace {

// Warp rows are read once; the sums of eq. (3) ride along, in registers.
constexpr int64_t kBlocks = 264;  // that stay and take row after row: two for each multiprocessor of an H200

// eq. (1)
template <class T, int K, bool kWarpRow>
__global__ void __launch_bounds__(kRows* kWarp)
    forward_kernel(DeviceSpan<T> y, DeviceSpan<float> mu, DeviceSpan<float> r, DeviceSpan<const T> x,
                   DeviceSpan<const float> w, DeviceSpan<const float> b, int64_t N, int C, float eps) {
  using Threads = Team<kWarpRow>;
  const int64_t n = Threads::row();
  if (n >= N) return;
  const Row<T, K, kWarpRow> xs(x, n * C, C);
  float sum = 0, square = 0;
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> v = xs.at(j, c);
    for (int k = 0; k < K; ++k) sum += v[k];
  });
  const float mean = Threads::template reduce<Sum>(sum) / static_cast<float>(C);
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> v = xs.at(j, c);
    for (int k = 0; k < K; ++k) square += (v[k] - mean) * (v[k] - mean);
  });
  const float rstd = 1 / sqrtf(Threads::template reduce<Sum>(square) / static_cast<float>(C) + eps);
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> v = xs.at(j, c);
    float weight[K], bias[K], out[K];
    read_or<K>(weight, w, c, 1);
    read_or<K>(bias, b, c, 0);
    for (int k = 0; k < K; ++k) out[k] = weight[k] * ((v[k] - mean) * rstd) + bias[k];
    write_pack<K>(y, n * C + c, out);
  });
  if (Threads::lane() == 0) {
    mu[n] = mean;
    r[n] = rstd;
  }
}

// partial (blocks, 2, C) of a block of warp rows: sum_w and sum_b of its warps, in order
template <int K>
__device__ void add_warps(DeviceSpan<float> partial, int64_t at, const float (&sum)[kHeld], int C) {
  __shared__ float parts[kRows][kHeldRow];
  each_pack<K, true>(C, [&](int j, int c) {
    for (int k = 0; k < K; ++k) parts[threadIdx.x / kWarp][c + k] = sum[j * K + k];
  });
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < C; c += kRows * kWarp) {
    float total = 0;
    for (int i = 0; i < kRows; ++i) total += parts[i][c];
    partial[at + c] = total;
  }
  __syncthreads();
}

template <class T>
struct Inputs {
  DeviceSpan<const T> dy, x;
  DeviceSpan<const float> w, mu, r;
};

// eq. (2) for the team's row n, if dx is wanted; f(j k, dy n, dy) for the terms of eq. (3)
template <class T, int K, bool kWarpRow, class F>
__device__ void backward_row(const GradSpan<T>& dx, const Inputs<T>& in, int64_t n, int C, F&& f) {
  const Row<T, K, kWarpRow> dys(in.dy, n * C, C), xs(in.x, n * C, C);
  const float mean = in.mu[n], rstd = in.r[n];
  float sum_g = 0, sum_gn = 0;
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> dy = dys.at(j, c), x = xs.at(j, c);
    float w[K];
    read_or<K>(w, in.w, c, 1);
    for (int k = 0; k < K; ++k) {
      const float v = (x[k] - mean) * rstd, g = dy[k] * w[k];
      sum_g += g;
      sum_gn += g * v;
      f(j * K + k, dy[k] * v, dy[k]);
    }
  });
  if (!dx) return;
  const float mean_g = Team<kWarpRow>::template reduce<Sum>(sum_g) / static_cast<float>(C);
  const float mean_gn = Team<kWarpRow>::template reduce<Sum>(sum_gn) / static_cast<float>(C);
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> dy = dys.at(j, c), x = xs.at(j, c);
    float w[K], out[K];
    read_or<K>(w, in.w, c, 1);
    for (int k = 0; k < K; ++k) {
      const float v = (x[k] - mean) * rstd;
      out[k] = rstd * (dy[k] * w[k] - mean_g - v * mean_gn);
    }
    put_pack<K>(dx, n * C + c, out);
  });
}

// eq. (2)
template <class T, int K, bool kWarpRow>
__global__ void __launch_bounds__(kRows* kWarp, 1)
    backward_kernel(GradSpan<T> dx, Inputs<T> in, int64_t N, int C) {
  const int64_t n = Team<kWarpRow>::row();
  if (n < N) backward_row<T, K, kWarpRow>(dx, in, n, C, [](int, float, float) {});
}

// eq. (2) and the partial sums of (3): partial (blocks, 2, C). Each warp of the blocks takes every so-many-th
// row.
template <class T, int K>
__global__ void __launch_bounds__(kRows* kWarp, sizeof(T) == 2 && K > 1 ? 2 : 1)
    backward_sums_kernel(GradSpan<T> dx, DeviceSpan<float> partial, Inputs<T> in, int64_t N, int C) {
  float sum_w[kHeld] = {}, sum_b[kHeld] = {};
  for (int64_t n = row(); n < N; n += int64_t{gridDim.x} * kRows)
    backward_row<T, K, true>(dx, in, n, C, [&](int i, float dy_n, float dy) {
      sum_w[i] += dy_n;
      sum_b[i] += dy;
    });
  add_warps<K>(partial, int64_t{blockIdx.x} * 2 * C, sum_w, C);
  add_warps<K>(partial, int64_t{blockIdx.x} * 2 * C + C, sum_b, C);
}

// eq. (3) for longer rows
template <class T>
struct Terms {
  Inputs<T> in;
  int64_t C;
  __device__ void operator()(int64_t n, int64_t c, float (&v)[2]) const {
    const float g = load(in.dy[n * C + c]);
    v[0] = g * (load(in.x[n * C + c]) - in.mu[n]) * in.r[n];
    v[1] = g;
  }
};

template <class T, int K>
void backward_sums(GradSpan<T> dx, const GradSpan<float> (&weights)[2], const Inputs<T>& in, int64_t N,
                   int64_t C, Stream stream) {
  const int64_t blocks = std::min<int64_t>(blocks_for(N, kRows), kBlocks);
  Tensor memory = temporary({blocks, 2, C}, DType::float32, stream);
  const DeviceSpan<float> partial = span<float>(memory);
  launch(stream, backward_sums_kernel<T, K>, static_cast<unsigned>(blocks), kRows * kWarp, 0, dx, partial, in,
         N, static_cast<int>(C));
  add_chunks(weights, part(partial, 0), C, blocks, stream);
}

}  // namespace

void layer_norm_forward(Tensor& y, Tensor& mu, Tensor& r, const Tensor& x, const Tensor& w, const Tensor& b,
                        double eps, Stream stream) {
  const auto [N, C] = layer_norm_sizes(x, w, b);
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    const auto ys = span<T>(y);
    const auto xs = span<T>(x);
    const auto ws = span<float>(w), bs = span<float>(b);
    with_row<T>(C, aligned(ys, xs, ws, bs), [&](auto width, auto warp_row) {
      launch_teams<warp_row.value>(stream, forward_kernel<T, width.value, warp_row.value>, N, ys,
                                   span<float>(mu), span<float>(r), xs, ws, bs, N, static_cast<int>(C),
                                   static_cast<float>(eps));
    });
  });
}

void layer_norm_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                         const Tensor& mu, const Tensor& r, Stream stream) {
  const auto [N, C] = layer_norm_sizes(x, w, Tensor());
  with_device_type(x.dtype(), [&, N = N, C = C](auto zero) {
    using T = decltype(zero);
    const GradSpan<T> dxs = grad<T>(dx);
    const GradSpan<float> weights[2] = {grad<float>(dw), grad<float>(db)};
    const Inputs<T> in{span<T>(dy), span<T>(x), span<float>(w), span<float>(mu), span<float>(r)};
    with_row<T>(C, aligned(dxs, in.dy, in.x, in.w), [&](auto width, auto warp_row) {
      if ((dw || db) && warp_row) return backward_sums<T, width.value>(dxs, weights, in, N, C, stream);
      if (dx)
        launch_teams<warp_row.value>(stream, backward_kernel<T, width.value, warp_row.value>, N, dxs, in, N,
                                     static_cast<int>(C));
      if (dw || db) column_sums<2>(weights, Terms<T>{in, C}, N, C, stream);
    });
  });
}

}  // namespace gmail::cuda
