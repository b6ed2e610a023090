// Attention forward on the tensor cores. A block holds the keys and values of a head in shared memory, all of
// them up to 288, and its warps take 16 queries each at a time. The scores stay in registers: short rows (50,
// 77 keys) whole, longer ones in steps (197, 257: two), and what was summed is rescaled by the new maximum
// (Milakov & Gimelshein 2018).
#pragma once

#include "attention_tiles.cuh"

namespace gmail::cuda::tiles {

constexpr int kForwardWarps = 4, kForwardThreads = kForwardWarps * kWarp;
constexpr int kManyBlocks = 264;  // enough for a large GPU
constexpr int kHeldTiles = 18;    // most tiles of 16 keys that shared memory holds

// 16 queries of a warp: this lane's part of rows g and g + 8 of eq. (1)
template <int kD>
struct Queries {
  Rows<kD> q;
  Wide o[kD / 32] = {};
  float m[2] = {kMinusInfinity, kMinusInfinity},
        sum[2] = {0, 0};  // in powers of 2; sum: of this lane's columns

  // keys [j0, j0 + 16 kTiles) of shared memory; bias: 0, or -inf where a key is not seen by anyone
  template <int kTiles>
  __device__ void add(const bf16* k, const bf16* v, const float* bias, int j0, int first, const Heads& a) {
    float s[2 * kTiles][4] = {};
    GMAIL_UNROLL
    for (int c = 0; c < kD / 16; ++c) {
      unsigned rows[4], keys[4];
      q.tile(rows, c);
      GMAIL_UNROLL
      for (int j = 0; j < kTiles; ++j) {
        tile_b_transposed(keys, k + 16 * j * kRow<kD> + 16 * c, kRow<kD>);
        tile_mma(s[2 * j], rows, keys[0], keys[1]);
        tile_mma(s[2 * j + 1], rows, keys[2], keys[3]);
      }
    }
    hide<kTiles>(s, bias, j0, first, a);
    rescale<kTiles>(s);
    GMAIL_UNROLL
    for (int j = 0; j < kTiles; ++j) {
      const float(&left)[4] = s[2 * j], (&right)[4] = s[2 * j + 1];
      const unsigned p[4] = {pack(left[0], left[1]), pack(left[2], left[3]), pack(right[0], right[1]),
                             pack(right[2], right[3])};
      GMAIL_UNROLL
      for (int c = 0; c < kD / 16; ++c) {
        unsigned values[4];
        tile_b(values, v + 16 * j * kRow<kD> + 16 * c, kRow<kD>);
        tile_mma(o[c / 2][c % 2 * 2], p, values[0], values[1]);
        tile_mma(o[c / 2][c % 2 * 2 + 1], p, values[2], values[3]);
      }
    }
  }

  // s -> scale s, in powers of 2, and -inf where masked
  template <int kTiles>
  __device__ void hide(float (&s)[2 * kTiles][4], const float* bias, int j0, int first,
                       const Heads& a) const {
    const int t = lane() % 4, i = first + lane() / 4;
    GMAIL_UNROLL
    for (int n = 0; n < 2 * kTiles; ++n) GMAIL_UNROLL
    for (int e = 0; e < 4; ++e) s[n][e] = s[n][e] * (a.scale * kLog2E) + bias[8 * n + 2 * t + e % 2];
    if (!a.causal) return;
    GMAIL_UNROLL
    for (int n = 0; n < 2 * kTiles; ++n) GMAIL_UNROLL
    for (int e = 0; e < 4; ++e)
      if (j0 + 8 * n + 2 * t + e % 2 > i + e / 2 * 8 + a.shift) s[n][e] = kMinusInfinity;
  }

  // s -> exp(s - m), with the maximum that includes it; o and the sum follow
  template <int kTiles>
  __device__ void rescale(float (&s)[2 * kTiles][4]) {
    GMAIL_UNROLL
    for (int half = 0; half < 2; ++half) {
      float highest = kMinusInfinity, total = 0;
      GMAIL_UNROLL
      for (int n = 0; n < 2 * kTiles; ++n)
        highest = fmaxf(highest, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
      const float next = fmaxf(m[half], quad_reduce<Max>(highest));
      const float from = next == kMinusInfinity ? 0.0F : next;  // sees nothing: exp(-inf - 0) = 0
      const float keep = exp2_fast(m[half] - from);
      m[half] = next;
      GMAIL_UNROLL
      for (int n = 0; n < 2 * kTiles; ++n) GMAIL_UNROLL
      for (int e = 2 * half; e < 2 * half + 2; ++e) {
        s[n][e] = exp2_fast(s[n][e] - from);
        total += s[n][e];
      }
      sum[half] = sum[half] * keep + total;
      GMAIL_UNROLL
      for (int n = 0; n < kD / 8; ++n)
        o[n / 4][n % 4][2 * half] *= keep, o[n / 4][n % 4][2 * half + 1] *= keep;
    }
  }

  __device__ void put(const GradSpan<bf16>& to, DeviceSpan<float> l, const Begin& at, int first,
                      const Heads& a) const {
    float one_over[2];
    for (int half = 0; half < 2; ++half) {
      const float total = quad_reduce<Sum>(sum[half]);
      const int i = first + lane() / 4 + 8 * half;
      one_over[half] = total == 0 ? 0 : 1 / total;
      if (lane() % 4 == 0 && i < a.Tq)
        l[at.l + i] = total == 0 ? kMinusInfinity : kLn2 * m[half] + logf(total);
    }
    GMAIL_UNROLL
    for (int c = 0; c < kD / 32; ++c) put_rows(to, o[c], one_over, at.q, first, a.Tq, 32 * c, a);
  }
};

// A block takes the queries of `rounds` rounds; `blocks` of them share a head. Shared memory holds `held`
// steps of keys.
template <int kD, int kTiles>
__global__ void __launch_bounds__(kForwardThreads)
    forward_kernel(DeviceSpan<bf16> o, DeviceSpan<float> l, DeviceSpan<const bf16> q,
                   DeviceSpan<const bf16> k, DeviceSpan<const bf16> v, Heads a, int rounds, int blocks,
                   int held) {
  constexpr int kKeys = 16 * kTiles;
  const int room = held * kKeys;
  DYN_SHARED(bf16, keys);  // (room, kRow)
  bf16* const values = keys + room * kRow<kD>;
  float* const bias = reinterpret_cast<float*>(values + room * kRow<kD>);  // (room)
  const Begin at(blockIdx.x / blocks, a);
  const int q0 = static_cast<int>(blockIdx.x % blocks) * rounds * kForwardWarps * 16;
  const int seen = q0 + rounds * kForwardWarps * 16 + a.shift;  // keys that some query of the block sees
  const int end = a.causal && seen < a.Tk ? seen : a.Tk;
  for (int round = 0; round < rounds; ++round) {
    const int i0 = q0 + (round * kForwardWarps + static_cast<int>(threadIdx.x) / kWarp) * 16;
    Queries<kD> queries;
    queries.q.load(q, at.q, i0, a.Tq, a);
    for (int begin = 0; begin < end; begin += room) {
      if (round == 0 || end > room) {
        __syncthreads();
        load_rows<kD>(keys, k, at.k, begin, room, a.Tk, a);
        load_rows<kD>(values, v, at.k, begin, room, a.Tk, a);
        load_bias(bias, begin, room, at, a);
        copies_wait();
        __syncthreads();
      }
      if (i0 >= a.Tq) continue;
      const int last = a.causal && i0 + 16 + a.shift < end ? i0 + 16 + a.shift : end;  // of these queries
      GMAIL_NO_UNROLL
      for (int j = 0; j < room && begin + j < last; j += kKeys)
        queries.template add<kTiles>(keys + j * kRow<kD>, values + j * kRow<kD>, bias + j, begin + j, i0, a);
    }
    queries.put({o}, l, at, i0, a);
  }
}

template <int kD, int kTiles>
void launch_forward(Tensor& o, Tensor& l, const Tensor& q, const Tensor& k, const Tensor& v,
                    const AttentionSizes& s, const Heads& a, Stream stream) {
  const int64_t steps = std::max<int64_t>(1, (s.Tk + 16 * kTiles - 1) / (16 * kTiles));
  const int64_t held = steps * kTiles <= kHeldTiles ? steps : 2;
  const int64_t all = (s.Tq + 16 * kForwardWarps - 1) / (16 * kForwardWarps), count = s.B * s.heads;
  const int64_t rounds = steps > held ? 1 : std::clamp<int64_t>(count * all / kManyBlocks, 1, all);
  const int64_t blocks = (all + rounds - 1) / rounds;
  const size_t shared = 16 * kTiles * held * (2 * kRow<kD> * sizeof(bf16) + sizeof(float));
  launch(stream, forward_kernel<kD, kTiles>, blocks_for(count * blocks, 1), kForwardThreads, shared,
         span<bf16>(o), span<float>(l), span<bf16>(q), span<bf16>(k), span<bf16>(v), a,
         static_cast<int>(rounds), static_cast<int>(blocks), static_cast<int>(held));
}

// The tiles of a step, of those that there are kernels for: as few empty ones as possible.
inline int64_t tiles_of_step(int64_t Tk) {
  const int64_t tiles = (Tk + 15) / 16;
  int64_t best = 4;
  if (tiles > kHeldTiles) return best;
  const auto empty = [&](int64_t step) { return (tiles + step - 1) / step * step - tiles; };
  for (const int64_t step : {5, 7, 9})
    if (empty(step) < empty(best)) best = step;
  return best;
}

inline void forward(Tensor& o, Tensor& l, const Tensor& q, const Tensor& k, const Tensor& v,
                    const AttentionSizes& s, const AttentionMask& mask, Stream stream) {
  if (o.numel() == 0) return;
  const Heads a = heads(s, mask, {o, q, k, v});
  with_head(s.D, [&](auto head) {
    constexpr int kD = decltype(head)::value;
    if constexpr (kD <= 64) {
      const int64_t tiles = tiles_of_step(s.Tk);
      if (tiles == 5) return launch_forward<kD, 5>(o, l, q, k, v, s, a, stream);
      if (tiles == 7) return launch_forward<kD, 7>(o, l, q, k, v, s, a, stream);
      if (tiles == 9) return launch_forward<kD, 9>(o, l, q, k, v, s, a, stream);
    }
    launch_forward<kD, 4>(o, l, q, k, v, s, a, stream);
  });
}

}  // namespace gmail::cuda::tiles
