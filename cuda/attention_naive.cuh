// Attention by plain kernels, for every type and size: a warp for each query (forward, dq) or key (dk, dv),
// 32 keys or queries at a time, one a lane; what a lane accumulates is elements lane, lane + 32, .. of the
// head.
#pragma once

#include <cmath>

#include "ops/attention.h"
#include "rows.cuh"
#include "temporary.h"

namespace gmail::cuda::naive {

constexpr int kMaxHead = 256, kOwn = kMaxHead / kWarp;
constexpr float kMinusInfinity = -__builtin_huge_valf();

struct Shared {
  AttentionSizes s;
  DeviceSpan<const int32_t> keys;  // (B, Tk), absent: all
  bool causal;
  float scale;
  __device__ bool sees(int64_t b, int64_t i, int64_t j) const {
    return j < s.Tk && i < s.Tq && (!causal || j <= i + s.Tk - s.Tq) && (!keys || keys[b * s.Tk + j] != 0);
  }
};

// A row of heads: which image, head and token, and where it begins in (B, T, C) and in l (B, heads, Tq).
struct Place {
  int64_t b, head, t, at, l;
  __device__ Place(int64_t row, int64_t T, const AttentionSizes& s)
      : b(row / (T * s.heads)),
        head(row / T % s.heads),
        t(row % T),
        at((b * T + t) * s.C + head * s.D),
        l(row) {}
};

template <class T>
__device__ float dot(DeviceSpan<const T> a, int64_t i, DeviceSpan<const T> b, int64_t j, int64_t D) {
  float sum = 0;
  for (int64_t d = 0; d < D; ++d) sum += load(a[i + d]) * load(b[j + d]);
  return sum;
}

// acc[own elements] += weight of lane e times row e of x, for the 32 rows from `first` on
template <class T>
__device__ void add_rows(float (&acc)[kOwn], float weight, DeviceSpan<const T> x, int64_t first, int64_t step,
                         int64_t rows, int64_t D) {
  for (int e = 0; e < kWarp; ++e) {
    const float w = __shfl_sync(kAllLanes, weight, e);
    if (e >= rows) continue;
    for (int k = 0; k < kOwn; ++k) {
      const int64_t d = lane() + k * kWarp;
      if (d < D && w != 0) acc[k] += w * load(x[first + e * step + d]);
    }
  }
}

// eq. (1), with the maximum so far and what was summed before it rescaled (Milakov & Gimelshein 2018)
template <class T>
__global__ void forward_kernel(DeviceSpan<T> o, DeviceSpan<float> l, DeviceSpan<const T> q,
                               DeviceSpan<const T> k, DeviceSpan<const T> v, Shared a) {
  const AttentionSizes& s = a.s;
  if (row() >= s.B * s.heads * s.Tq) return;
  const Place i(row(), s.Tq, s);
  float m = kMinusInfinity, sum = 0, acc[kOwn] = {};
  for (int64_t j0 = 0; j0 < s.Tk; j0 += kWarp) {
    const int64_t j = j0 + lane(), first = (i.b * s.Tk + j0) * s.C + i.head * s.D;
    const float score =
        a.sees(i.b, i.t, j) ? a.scale * dot(q, i.at, k, first + lane() * s.C, s.D) : kMinusInfinity;
    const float highest = warp_reduce<Max>(score), next = Max::of(m, highest);
    if (next == kMinusInfinity) continue;  // the whole warp: nothing seen yet
    const float keep = expf(m - next), p = expf(score - next);
    sum = sum * keep + warp_reduce<Sum>(p);
    for (float& x : acc) x *= keep;
    add_rows(acc, p, v, first, s.C, s.Tk - j0, s.D);
    m = next;
  }
  for (int n = 0; n < kOwn; ++n) {
    const int64_t d = lane() + n * kWarp;
    if (d < s.D) o[i.at + d] = store<T>(m == kMinusInfinity ? 0.0F : acc[n] / sum);
  }
  if (lane() == 0) l[i.l] = m + logf(sum);
}

// do_i . o_i of eq. (2)
template <class T>
__global__ void delta_kernel(DeviceSpan<float> delta, DeviceSpan<const T> d_o, DeviceSpan<const T> o,
                             AttentionSizes s) {
  if (row() >= s.B * s.heads * s.Tq) return;
  const Place i(row(), s.Tq, s);
  float sum = 0;
  for (int64_t d = lane(); d < s.D; d += kWarp) sum += load(d_o[i.at + d]) * load(o[i.at + d]);
  sum = warp_reduce<Sum>(sum);
  if (lane() == 0) delta[i.l] = sum;
}

template <class T>
struct Saved {
  DeviceSpan<const T> d_o, q, k, v;
  DeviceSpan<const float> l, delta;
};

// p_ij and ds_ij of eq. (2) for one pair
struct Pair {
  float p = 0, ds = 0;
  __device__ Pair() {}
  template <class T>
  __device__ Pair(const Saved<T>& in, const Shared& a, const Place& i, int64_t j, int64_t key,
                  int64_t statistics) {
    if (!a.sees(i.b, i.t, j)) return;
    p = expf(a.scale * dot(in.q, i.at, in.k, key, a.s.D) - in.l[statistics]);
    ds = p * (dot(in.d_o, i.at, in.v, key, a.s.D) - in.delta[statistics]);
  }
};

template <class T>
__device__ void put_own(const GradSpan<T>& g, int64_t at, const float (&acc)[kOwn], float factor, int64_t D) {
  for (int n = 0; n < kOwn; ++n) {
    const int64_t d = lane() + n * kWarp;
    if (g && d < D) g.put(at + d, factor * acc[n]);
  }
}

// eq. (3): dq, a warp a query
template <class T>
__global__ void query_kernel(GradSpan<T> dq, Saved<T> in, Shared a) {
  const AttentionSizes& s = a.s;
  if (row() >= s.B * s.heads * s.Tq) return;
  const Place i(row(), s.Tq, s);
  float acc[kOwn] = {};
  for (int64_t j0 = 0; j0 < s.Tk; j0 += kWarp) {
    const int64_t first = (i.b * s.Tk + j0) * s.C + i.head * s.D;
    const Pair pair(in, a, i, j0 + lane(), first + lane() * s.C, i.l);
    add_rows(acc, pair.ds, in.k, first, s.C, s.Tk - j0, s.D);
  }
  put_own(dq, i.at, acc, a.scale, s.D);
}

// eq. (2), (3): dv and dk, a warp a key
template <class T>
__global__ void key_kernel(GradSpan<T> dk, GradSpan<T> dv, Saved<T> in, Shared a) {
  const AttentionSizes& s = a.s;
  if (row() >= s.B * s.heads * s.Tk) return;
  const Place j(row(), s.Tk, s);
  float sum_k[kOwn] = {}, sum_v[kOwn] = {};
  for (int64_t i0 = 0; i0 < s.Tq; i0 += kWarp) {
    const int64_t first = (j.b * s.Tq + i0) * s.C + j.head * s.D, l0 = (j.b * s.heads + j.head) * s.Tq;
    const Place i(l0 + i0 + lane(), s.Tq, s);
    const Pair pair = i0 + lane() < s.Tq ? Pair(in, a, i, j.t, j.at, i.l) : Pair();
    add_rows(sum_v, pair.p, in.d_o, first, s.C, s.Tq - i0, s.D);
    add_rows(sum_k, pair.ds, in.q, first, s.C, s.Tq - i0, s.D);
  }
  put_own(dk, j.at, sum_k, a.scale, s.D);
  put_own(dv, j.at, sum_v, 1, s.D);
}

inline Shared shared(const AttentionSizes& s, const AttentionMask& mask) {
  GMAIL_CHECK(s.D <= kMaxHead, "[attention] heads of ", s.D, " channels; the CUDA kernels take up to ",
              kMaxHead);
  return {s, span<int32_t>(mask.keys), mask.causal, 1 / std::sqrt(static_cast<float>(s.D))};
}

inline void forward(Tensor& o, Tensor& l, const Tensor& q, const Tensor& k, const Tensor& v,
                    const AttentionSizes& s, const AttentionMask& mask, Stream stream) {
  const Shared a = shared(s, mask);
  with_device_type(q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_rows(stream, forward_kernel<T>, s.B * s.heads * s.Tq, span<T>(o), span<float>(l), span<T>(q),
                span<T>(k), span<T>(v), a);
  });
}

inline void backward(Grad dq, Grad dk, Grad dv, const Tensor& d_o, const Tensor& o, const Tensor& l,
                     const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSizes& s,
                     const AttentionMask& mask, Stream stream) {
  const Shared a = shared(s, mask);
  const int64_t queries = s.B * s.heads * s.Tq, keys = s.B * s.heads * s.Tk;
  Tensor delta = temporary({queries}, DType::float32, stream);
  with_device_type(q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_rows(stream, delta_kernel<T>, queries, span<float>(delta), span<T>(d_o), span<T>(o), s);
    const Saved<T> in{span<T>(d_o), span<T>(q),     span<T>(k),
                      span<T>(v),   span<float>(l), span<float>(std::as_const(delta))};
    if (dq) launch_rows(stream, query_kernel<T>, queries, grad<T>(dq), in, a);
    if (dk || dv) launch_rows(stream, key_kernel<T>, keys, grad<T>(dk), grad<T>(dv), in, a);
  });
}

}  // namespace gmail::cuda::naive
