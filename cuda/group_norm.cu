#include "ops/group_norm.h"

#include "activation_math.cuh"
#include "column_sums.cuh"
#include "reduce.cuh"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

// A block works on one group of one image: its S x D elements, and where they stand.
struct Group {
  GroupNormSizes s;
  int64_t D, b, g;
  __device__ explicit Group(GroupNormSizes sizes)
      : s(sizes), D(sizes.C / sizes.G), b(blockIdx.x / sizes.G), g(blockIdx.x % sizes.G) {}
  __device__ int64_t size() const { return s.S * D; }
  __device__ int64_t channel(int64_t i) const { return g * D + i % D; }
  __device__ int64_t at(int64_t i) const { return (b * s.S + i / D) * s.C + channel(i); }
};

// eq. (1); the second pass goes round the mean, so a large one costs no digits
template <class T>
__global__ void forward_kernel(DeviceSpan<T> y, DeviceSpan<float> mu, DeviceSpan<float> r,
                               DeviceSpan<const T> x, DeviceSpan<const float> w, DeviceSpan<const float> b,
                               GroupNormSizes sizes, float eps, bool silu) {
  __shared__ float partial[kWarp];
  const Group group(sizes);
  const int64_t n = group.size();
  float sum = 0, square = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) sum += load(x[group.at(i)]);
  const float mean = block_reduce<Sum>(sum, partial) / static_cast<float>(n);
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    const float d = load(x[group.at(i)]) - mean;
    square += d * d;
  }
  const float rstd = 1 / sqrtf(block_reduce<Sum>(square, partial) / static_cast<float>(n) + eps);
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    const int64_t c = group.channel(i);
    const float v = (load(x[group.at(i)]) - mean) * rstd, u = (w ? w[c] * v : v) + (b ? b[c] : 0.0F);
    y[group.at(i)] = store<T>(silu ? Silu::value(u) : u);
  }
  if (threadIdx.x == 0) {
    mu[blockIdx.x] = mean;
    r[blockIdx.x] = rstd;
  }
}

// What eq. (2) and (3) read.
template <class T>
struct Inputs {
  DeviceSpan<const T> dy, x;
  DeviceSpan<const float> w, b, mu, r;
  bool silu;
  // n and g of eq. (2) for the element at `at`, channel c, statistics k
  __device__ float n(int64_t at, int64_t k) const { return (load(x[at]) - mu[k]) * r[k]; }
  __device__ float g(int64_t at, int64_t c, float n) const {
    const float d = load(dy[at]);
    return silu ? d * Silu::slope((w ? w[c] * n : n) + (b ? b[c] : 0.0F)) : d;
  }
};

// eq. (2)
template <class T>
__global__ void backward_kernel(GradSpan<T> dx, Inputs<T> in, GroupNormSizes sizes) {
  __shared__ float partial[kWarp];
  const Group group(sizes);
  const int64_t size = group.size(), k = blockIdx.x;
  float sum_h = 0, sum_hn = 0;
  for (int64_t i = threadIdx.x; i < size; i += kThreads) {
    const int64_t at = group.at(i), c = group.channel(i);
    const float n = in.n(at, k), h = in.g(at, c, n) * (in.w ? in.w[c] : 1.0F);
    sum_h += h;
    sum_hn += h * n;
  }
  const float mean_h = block_reduce<Sum>(sum_h, partial) / static_cast<float>(size);
  const float mean_hn = block_reduce<Sum>(sum_hn, partial) / static_cast<float>(size);
  for (int64_t i = threadIdx.x; i < size; i += kThreads) {
    const int64_t at = group.at(i), c = group.channel(i);
    const float n = in.n(at, k), h = in.g(at, c, n) * (in.w ? in.w[c] : 1.0F);
    dx.put(at, in.r[k] * (h - mean_h - n * mean_hn));
  }
}

// eq. (3): the terms of dw and db; rows are (b, position)
template <class T>
struct Terms {
  Inputs<T> in;
  GroupNormSizes s;
  __device__ void operator()(int64_t row, int64_t c, float (&v)[2]) const {
    const int64_t at = row * s.C + c, k = row / s.S * s.G + c / (s.C / s.G);
    const float n = in.n(at, k);
    v[1] = in.g(at, c, n);
    v[0] = v[1] * n;
  }
};

}  // namespace

void group_norm_forward(Tensor& y, Tensor& mu, Tensor& r, const Tensor& x, const Tensor& w, const Tensor& b,
                        int groups, double eps, bool silu, Stream stream) {
  const GroupNormSizes s = group_norm_sizes(x, w, b, mu, r, groups);
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, forward_kernel<T>, blocks_for(s.B * s.G, 1), kThreads, 0, span<T>(y), span<float>(mu),
           span<float>(r), span<T>(x), span<float>(w), span<float>(b), s, static_cast<float>(eps), silu);
  });
}

void group_norm_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                         const Tensor& b, const Tensor& mu, const Tensor& r, int groups, bool silu,
                         Stream stream) {
  const GroupNormSizes s = group_norm_sizes(x, w, b, mu, r, groups);
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Inputs<T> in{span<T>(dy),    span<T>(x), span<float>(w), span<float>(b), span<float>(mu),
                       span<float>(r), silu};
    if (dx) launch(stream, backward_kernel<T>, blocks_for(s.B * s.G, 1), kThreads, 0, grad<T>(dx), in, s);
    if (dw || db) column_sums<2>({grad<float>(dw), grad<float>(db)}, Terms<T>{in, s}, s.B * s.S, s.C, stream);
  });
}

}  // namespace gmail::cuda
