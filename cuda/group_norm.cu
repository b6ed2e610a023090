#include "ops/group_norm.h"

#include "activation_math.cuh"
#include "column_sums.cuh"
#include "group_norm_strip.cuh"
#include "rows.cuh"

namespace gmail::cuda {
namespace {

// --- the plain way, where a group is wider than a strip may be ---

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
__global__ void plain_forward_kernel(DeviceSpan<T> y, DeviceSpan<float> mu, DeviceSpan<float> r,
                                     DeviceSpan<const T> x, DeviceSpan<const float> w,
                                     DeviceSpan<const float> b, GroupNormSizes sizes, float eps, bool silu) {
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

// n and g of eq. (2), element by element
template <class T>
struct PlainInputs : Inputs<T> {
  using Inputs<T>::dy, Inputs<T>::x, Inputs<T>::w, Inputs<T>::b, Inputs<T>::mu, Inputs<T>::r, Inputs<T>::silu;
  // of the element at `at`, channel c, statistics k
  __device__ float n(int64_t at, int64_t k) const { return (load(x[at]) - mu[k]) * r[k]; }
  __device__ float g(int64_t at, int64_t c, float n) const {
    const float d = load(dy[at]);
    return silu ? d * Silu::slope((w ? w[c] * n : n) + (b ? b[c] : 0.0F)) : d;
  }
};

// eq. (2)
template <class T>
__global__ void plain_backward_kernel(GradSpan<T> dx, PlainInputs<T> in, GroupNormSizes sizes) {
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
  PlainInputs<T> in;
  GroupNormSizes s;
  __device__ void operator()(int64_t row, int64_t c, float (&v)[2]) const {
    const int64_t at = row * s.C + c, k = row / s.S * s.G + c / (s.C / s.G);
    const float n = in.n(at, k);
    v[1] = in.g(at, c, n);
    v[0] = v[1] * n;
  }
};

template <class T, int K>
void strip_backward(GradSpan<T> dx, const GradSpan<float> (&weights)[2], const Inputs<T>& in, const Strip& s,
                    Stream stream) {
  Tensor memory;
  if (weights[0] || weights[1]) memory = temporary({s.B, 2, s.C}, DType::float32, stream);
  const DeviceSpan<float> partial = span<float>(memory);
  const size_t slab = s.slab_bytes(2 * sizeof(T));
  const bool keep = K > 1 && dx && slab <= kMaxSlab;
  launch(stream, keep ? strip_backward_kernel<T, K, K != 1> : strip_backward_kernel<T, K, false>, s.blocks(),
         static_cast<unsigned>(s.threads()), keep ? slab : 0, dx, partial, in, s);
  if (partial) add_chunks(weights, part(partial, 0), s.C, s.B, stream);
}

}  // namespace

void group_norm_forward(Tensor& y, Tensor& mu, Tensor& r, const Tensor& x, const Tensor& w, const Tensor& b,
                        int groups, double eps, bool silu, Stream stream) {
  const GroupNormSizes s = group_norm_sizes(x, w, b, mu, r, groups);
  if (x.numel() == 0) return;
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Outputs<T> out{span<T>(y), span<float>(mu), span<float>(r)};
    const Inputs<T> in{{}, span<T>(x), span<float>(w), span<float>(b), {}, {}, silu};
    const auto e = static_cast<float>(eps);
    const bool found =
        with_strip<T>(s, aligned(out.y, in.x, in.w, in.b), [&](auto width, const Strip& strip) {
          constexpr int K = decltype(width)::value;
          const size_t slab = strip.slab_bytes(sizeof(T));
          const bool keep = K > 1 && slab <= kMaxSlab;
          launch(stream, keep ? strip_forward_kernel<T, K, K != 1> : strip_forward_kernel<T, K, false>,
                 strip.blocks(), static_cast<unsigned>(strip.threads()), keep ? slab : 0, out, in, strip, e);
        });
    if (!found)
      launch(stream, plain_forward_kernel<T>, blocks_for(s.B * s.G, 1), kThreads, 0, out.y, out.mu, out.r,
             in.x, in.w, in.b, s, e, silu);
  });
}

void group_norm_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                         const Tensor& b, const Tensor& mu, const Tensor& r, int groups, bool silu,
                         Stream stream) {
  const GroupNormSizes s = group_norm_sizes(x, w, b, mu, r, groups);
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const GradSpan<T> dxs = grad<T>(dx);
    const GradSpan<float> weights[2] = {grad<float>(dw), grad<float>(db)};
    const PlainInputs<T> in{
        {span<T>(dy), span<T>(x), span<float>(w), span<float>(b), span<float>(mu), span<float>(r), silu}};
    const bool found =
        x.numel() > 0 &&
        with_strip<T>(s, aligned(dxs, in.dy, in.x, in.w, in.b), [&](auto width, const Strip& strip) {
          strip_backward<T, decltype(width)::value>(dxs, weights, in, strip, stream);
        });
    if (found) return;
    if (dx && x.numel() > 0)
      launch(stream, plain_backward_kernel<T>, blocks_for(s.B * s.G, 1), kThreads, 0, dxs, in, s);
    if (dw || db) column_sums<2>(weights, Terms<T>{in, s}, s.B * s.S, s.C, stream);
  });
}

}  // namespace gmail::cuda
