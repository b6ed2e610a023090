// GroupNorm by strips (the equations are those of ops/group_norm.h). A block works on a strip of one image: W
// neighbouring channels, whole groups, at all S positions. A thread always sees the same K channels, so it
// sums a channel in registers and finds w, b and the statistics there; the last lines join threads, then
// channels. Where the strip fits into shared memory it is read once, else a second time from the cache.
#pragma once

#include <algorithm>
#include <numeric>

#include "activation_math.cuh"
#include "ops/group_norm.h"
#include "rows.cuh"

namespace gmail::cuda {
namespace {

constexpr int kStripThreads = 512;
constexpr size_t kMaxSlab = size_t{64}
                            << 10U;  // of shared memory: with the sums it fits every GPU from sm_80 on

struct Strip {
  int64_t B, S, C;
  int G, D, W, packs,
      lanes;  // channels of a group and of the strip; packs of a position, positions at a time
  [[nodiscard]] unsigned blocks() const { return blocks_for(B * (C / W), 1); }
  [[nodiscard]] __host__ __device__ int threads() const {
    return (packs * lanes + kWarp - 1) / kWarp * kWarp;
  }
  // of a copy of the strip: as many packs for each thread as the first lane has
  [[nodiscard]] __host__ __device__ size_t slab_bytes(size_t element) const {
    return static_cast<size_t>((S + lanes - 1) / lanes * threads() * (W / packs)) * element;
  }
};

// Calls f(Width<K>, strip); false where a group is too wide for one. A strip of packs holds whole packs and
// groups, and 64 bytes of a position where that leaves enough blocks.
template <class T, class F>
bool with_strip(const GroupNormSizes& s, bool wide, F&& f) {
  const int64_t D = s.C / s.G;
  const auto strip = [&](int64_t W, int64_t K) {
    const int64_t packs = W / K, lanes = std::max<int64_t>(1, std::min(kStripThreads / packs, s.S));
    return Strip{s.B,
                 s.S,
                 s.C,
                 static_cast<int>(s.G),
                 static_cast<int>(D),
                 static_cast<int>(W),
                 static_cast<int>(packs),
                 static_cast<int>(lanes)};
  };
  constexpr int64_t K = kWide<T>;
  int64_t groups = K / std::gcd(D, K);
  if (wide && s.G % groups == 0 && groups * D <= K * kStripThreads) {
    while (groups * D < 4 * K && s.G % (2 * groups) == 0 && s.B * s.G / (2 * groups) >= 128) groups *= 2;
    f(Width<kWide<T>>{}, strip(groups * D, K));
    return true;
  }
  if (D > kStripThreads) return false;
  f(Width<1>{}, strip(D, 1));
  return true;
}

template <class T>
struct Outputs {
  DeviceSpan<T> y;
  DeviceSpan<float> mu, r;
};
template <class T>
struct Inputs {
  DeviceSpan<const T> dy, x;
  DeviceSpan<const float> w, b, mu, r;
  bool silu;
};

// Where a thread stands in its block's strip.
template <int K>
struct Place {
  int64_t b, first;  // image; first channel of the strip
  int pack, lane;
  bool active;
  __device__ explicit Place(const Strip& s)
      : b(blockIdx.x / (s.C / s.W)),
        first(blockIdx.x % (s.C / s.W) * s.W),
        pack(static_cast<int>(threadIdx.x) % s.packs),
        lane(static_cast<int>(threadIdx.x) / s.packs),
        active(lane < s.lanes) {}
  __device__ int column() const { return pack * K; }  // in the strip
  __device__ int64_t channel() const { return first + column(); }
  __device__ int64_t group(const Strip& s, int k) const { return b * s.G + (channel() + k) / s.D; }
  // f(at, i): the thread's i-th pack, and where it stands in x
  template <class F>
  __device__ void each(const Strip& s, F&& f) const {
    if (!active) return;
    int64_t at = (b * s.S + lane) * s.C + channel();
    int i = 0;
    for (int64_t position = lane; position < s.S; position += s.lanes, at += s.lanes * s.C) f(at, i++);
  }
};

// The thread's packs in shared memory, for itself alone; or, not kept, those in global memory.
template <class T, int K, bool kKeep>
struct Slab {
  unsigned* words;  // of the block: (packs of a thread, threads)
  DeviceSpan<const T> x;
  static constexpr int kWords = K * static_cast<int>(sizeof(T)) / 4;
  __device__ Pack<T, K> first(int64_t at, int i) const {
    const Pack<T, K> pack = read_pack<K>(x, at);
    if constexpr (kKeep) store_words(words + (i * blockDim.x + threadIdx.x) * kWords, pack.words);
    return pack;
  }
  __device__ Pack<T, K> again(int64_t at, int i) const {
    if constexpr (kKeep) {
      Pack<T, K> pack;
      load_words(pack.words, words + (i * blockDim.x + threadIdx.x) * kWords);
      return pack;
    } else {
      return read_pack<K>(x, at);
    }
  }
};

// Joins the lanes of each pack in a tree: join(l, step, u, v) takes in what lanes l, l + step, ... have
// gathered. In the end u and v of lane 0 are those of the strip's channels, and stand in us, vs (W) for all
// threads.
template <int K, class Join>
__device__ void join_lanes(const Strip& s, const Place<K>& place, float (&u)[K], float (&v)[K], float* us,
                           float* vs, Join&& join) {
  const auto thread = static_cast<int>(threadIdx.x);
  int half = 1;
  while (half < s.lanes) half *= 2;
  for (half /= 2; half > 0; half /= 2) {
    if (place.active && place.lane >= half && place.lane < 2 * half)
      for (int k = 0; k < K; ++k)
        us[k * kStripThreads + thread] = u[k], vs[k * kStripThreads + thread] = v[k];
    __syncthreads();
    if (place.lane < half && place.lane + half < s.lanes) {
      float other_u[K], other_v[K];
      for (int k = 0; k < K; ++k) {
        other_u[k] = us[k * kStripThreads + thread + half * s.packs];
        other_v[k] = vs[k * kStripThreads + thread + half * s.packs];
      }
      join(place.lane + half, 2 * half, other_u, other_v);
    }
    __syncthreads();
  }
  if (place.lane == 0)
    for (int k = 0; k < K; ++k) {
      us[place.column() + k] = u[k];
      vs[place.column() + k] = v[k];
    }
  __syncthreads();
}

// f(j) summed over the channels of a group by a warp
template <class F>
__device__ float sum_channels(int D, F&& f) {
  float sum = 0;
  for (int j = lane(); j < D; j += kWarp) sum += f(j);
  return warp_reduce<Sum>(sum);
}

// How many positions do the lanes first, first + step, ... see?
__device__ inline float positions(const Strip& s, int first, int step) {
  const auto each = static_cast<int>(s.S / s.lanes), longer = static_cast<int>(s.S - int64_t{each} * s.lanes);
  const int lanes = (s.lanes - first + step - 1) / step;
  const int more = first < longer ? (longer - first + step - 1) / step : 0;  // have one position more
  return static_cast<float>(lanes) * static_cast<float>(each) + static_cast<float>(more);
}

// eq. (1). Means and squares round them are Welford's in a thread, and joined as in Chan et al. 1979, so a
// large mean costs no digits.
template <class T, int K, bool kKeep>
__global__ void __launch_bounds__(kStripThreads)
    strip_forward_kernel(Outputs<T> out, Inputs<T> in, Strip s, float eps) {
  DYN_SHARED(unsigned, words);
  __shared__ float channel_mean[K * kStripThreads], channel_square[K * kStripThreads];
  const Place<K> place(s);
  const Slab<T, K, kKeep> slab{words, in.x};
  float mean[K] = {}, square[K] = {}, count = 0;
  place.each(s, [&](int64_t at, int i) {
    const Pack<T, K> v = slab.first(at, i);
    count += 1;
    const float share = 1 / count;
    for (int k = 0; k < K; ++k) {
      const float d = v[k] - mean[k];
      mean[k] += d * share;
      square[k] += d * (v[k] - mean[k]);
    }
  });
  join_lanes<K>(s, place, mean, square, channel_mean, channel_square,
                [&](int other, int step, const float(&other_mean)[K], const float(&other_square)[K]) {
                  const float n = positions(s, other, step), share = n / (count + n);
                  for (int k = 0; k < K; ++k) {
                    const float d = other_mean[k] - mean[k];
                    mean[k] += d * share;
                    square[k] += other_square[k] + d * d * share * count;
                  }
                  count += n;
                });
  // the groups of the strip, a warp each; their mean and r replace those of their channels
  const auto warps = static_cast<int>(blockDim.x / kWarp);
  const auto S = static_cast<float>(s.S), D = static_cast<float>(s.D);
  for (int g = static_cast<int>(threadIdx.x / kWarp); g < s.W / s.D; g += warps) {
    float* const m = channel_mean + g * s.D;
    float* const q = channel_square + g * s.D;
    const float mu = sum_channels(s.D, [&](int j) { return m[j]; }) / D;
    const float sum = sum_channels(s.D, [&](int j) { return q[j] + S * (m[j] - mu) * (m[j] - mu); });
    const float r = 1 / sqrtf(sum / (S * D) + eps);
    __syncwarp();
    for (int j = lane(); j < s.D; j += kWarp) m[j] = mu, q[j] = r;
    if (lane() == 0) {
      out.mu[place.b * s.G + place.first / s.D + g] = mu;
      out.r[place.b * s.G + place.first / s.D + g] = r;
    }
  }
  __syncthreads();
  if (!place.active) return;
  float weight[K], bias[K];
  read_or<K>(weight, in.w, place.channel(), 1);
  read_or<K>(bias, in.b, place.channel(), 0);
  for (int k = 0; k < K; ++k) {
    mean[k] = channel_mean[place.column() + k];
    weight[k] *= channel_square[place.column() + k];
  }
  place.each(s, [&](int64_t at, int i) {
    const Pack<T, K> v = slab.again(at, i);
    float y[K];
    for (int k = 0; k < K; ++k) {
      const float u = (v[k] - mean[k]) * weight[k] + bias[k];
      y[k] = in.silu ? Silu::value(u) : u;
    }
    write_pack<K>(out.y, at, y);
  });
}

// eq. (2), and of (3) the sums over one image: partial (B, 2, C), if there is one
template <class T, int K, bool kKeep>
__global__ void __launch_bounds__(kStripThreads)
    strip_backward_kernel(GradSpan<T> dx, DeviceSpan<float> partial, Inputs<T> in, Strip s) {
  DYN_SHARED(unsigned, words);
  __shared__ float channel_gn[K * kStripThreads], channel_g[K * kStripThreads];
  const Place<K> place(s);
  const Slab<T, K, kKeep> xs{words, in.x};
  const Slab<T, K, kKeep> dys{words + (kKeep ? s.slab_bytes(sizeof(T)) / 4 : 0), in.dy};
  float mean[K] = {}, r[K] = {}, weight[K] = {}, bias[K] = {}, sum_gn[K] = {}, sum_g[K] = {};
  if (place.active) {
    read_or<K>(weight, in.w, place.channel(), 1);
    read_or<K>(bias, in.b, place.channel(), 0);
    for (int k = 0; k < K; ++k) {
      mean[k] = in.mu[place.group(s, k)];
      r[k] = in.r[place.group(s, k)];
    }
  }
  const auto g_of = [&](int k, float dy, float n) {
    return in.silu ? dy * Silu::slope(weight[k] * n + bias[k]) : dy;
  };
  place.each(s, [&](int64_t at, int i) {
    const Pack<T, K> v = xs.first(at, i), dy = dys.first(at, i);
    for (int k = 0; k < K; ++k) {
      const float n = (v[k] - mean[k]) * r[k], g = g_of(k, dy[k], n);
      sum_gn[k] += g * n;
      sum_g[k] += g;
    }
  });
  join_lanes<K>(s, place, sum_gn, sum_g, channel_gn, channel_g,
                [&](int, int, const float(&other_gn)[K], const float(&other_g)[K]) {
                  for (int k = 0; k < K; ++k) sum_gn[k] += other_gn[k], sum_g[k] += other_g[k];
                });
  if (partial && place.lane == 0)
    for (int k = 0; k < K; ++k) {
      partial[place.b * 2 * s.C + place.channel() + k] = sum_gn[k];
      partial[(place.b * 2 + 1) * s.C + place.channel() + k] = sum_g[k];
    }
  if (!dx) return;
  // the means of h and h n, h = g w, replace the sums of the group's channels
  const auto warps = static_cast<int>(blockDim.x / kWarp);
  const float size = static_cast<float>(s.S) * static_cast<float>(s.D);
  for (int g = static_cast<int>(threadIdx.x / kWarp); g < s.W / s.D; g += warps) {
    float* const hn = channel_gn + g * s.D;
    float* const h = channel_g + g * s.D;
    const auto w = [&](int j) { return in.w ? in.w[place.first + g * s.D + j] : 1.0F; };
    const float mean_hn = sum_channels(s.D, [&](int j) { return hn[j] * w(j); }) / size;
    const float mean_h = sum_channels(s.D, [&](int j) { return h[j] * w(j); }) / size;
    __syncwarp();
    for (int j = lane(); j < s.D; j += kWarp) hn[j] = mean_hn, h[j] = mean_h;
  }
  __syncthreads();
  if (!place.active) return;
  for (int k = 0; k < K; ++k) {
    sum_gn[k] = channel_gn[place.column() + k];
    sum_g[k] = channel_g[place.column() + k];
  }
  place.each(s, [&](int64_t at, int i) {
    const Pack<T, K> v = xs.again(at, i), dy = dys.again(at, i);
    float out[K];
    for (int k = 0; k < K; ++k) {
      const float n = (v[k] - mean[k]) * r[k], h = g_of(k, dy[k], n) * weight[k];
      out[k] = r[k] * (h - sum_g[k] - n * sum_gn[k]);
    }
    put_pack<K>(dx, at, out);
  });
}

}  // namespace
}  // namespace gmail::cuda
