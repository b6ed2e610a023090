// Attention backward on the tensor cores. A block holds up to 288 queries of a head, a warp 16 or 32 of them
// with their dq in registers. It goes over the keys 64 at a time: each warp computes its p and ds, adds to
// its dq, and leaves p and ds in shared memory; from these, of all its queries, the block computes dk and dv
// of these keys. Where a head has more queries than a block takes, the blocks' dk and dv are added in order
// by a second kernel.
#pragma once

#include "attention_tiles.cuh"
#include "temporary.h"

namespace gmail::cuda::tiles {

constexpr int kStepKeys = 64;  // of a step
template <int kD, int kOwn>
constexpr int kBackwardWarps = kOwn == 1 ? 8 : 9;  // most warps of a block

struct Inputs {
  DeviceSpan<const bf16> d_o, o, q, k, v;
  DeviceSpan<const float> l;
};

struct Gradients {
  GradSpan<bf16> dq, dk, dv;
  DeviceSpan<float> dk_parts, dv_parts;  // (query blocks, B, Tk, C) if there are several, else absent
  int64_t size;                          // of k
};

// The keys of a step, in shared memory.
template <int kD>
struct Stage {
  bf16 k[kStepKeys * kRow<kD>], v[kStepKeys * kRow<kD>];
  float bias[kStepKeys];
  __device__ void load(const Inputs& in, const Begin& at, int j0, const Heads& a) {
    load_rows<kD>(k, in.k, at.k, j0, kStepKeys, a.Tk, a);
    load_rows<kD>(v, in.v, at.k, j0, kStepKeys, a.Tk, a);
    load_bias(bias, j0, kStepKeys, at, a);
  }
};

// 16 kOwn queries of a warp, tile by tile: this lane's part of rows g and g + 8. In shared memory lie, from
// the warp's first row on, q and d_o (.., kRow<kD>), p and ds (.., kRow<kStepKeys>).
template <int kD, int kOwn>
struct OwnQueries {
  Wide dq[kOwn][kD / 32] = {};
  float l[kOwn][2], delta[kOwn][2];  // l in powers of 2, and do . o of eq. (2)

  __device__ OwnQueries(const Inputs& in, const Begin& at, int first, const Heads& a) {
    GMAIL_UNROLL
    for (int r = 0; r < 2 * kOwn; ++r) {
      const int i = first + 8 * r + lane() / 4;
      const bool there = i < a.Tq;
      float sum = 0;
      for (int c = 0; c < kD / 32; ++c) {
        unsigned x[4], y[4];
        load_pairs(x, in.d_o, at.q + i * a.C, 32 * c, there, a);
        load_pairs(y, in.o, at.q + i * a.C, 32 * c, there, a);
        GMAIL_UNROLL
        for (int n = 0; n < 4; ++n) sum += low(x[n]) * low(y[n]) + high(x[n]) * high(y[n]);
      }
      delta[r / 2][r % 2] = quad_reduce<Sum>(sum);
      const float saved = there ? in.l[at.l + i] : 0;
      l[r / 2][r % 2] = saved == kMinusInfinity ? 0 : saved * kLog2E;  // sees nothing: exp(-inf - 0) = 0
    }
  }

  // c (queries, 16 keys) += rows (queries, D) of q or d_o times those of k or v
  __device__ static void product(float (&c)[kOwn][2][4], const bf16* queries, const bf16* keys) {
    GMAIL_UNROLL
    for (int d = 0; d < kD / 16; ++d) {
      unsigned rows[4], columns[4];
      tile_b_transposed(columns, keys + 16 * d, kRow<kD>);
      GMAIL_UNROLL
      for (int m = 0; m < kOwn; ++m) {
        tile_a(rows, queries + 16 * m * kRow<kD> + 16 * d, kRow<kD>);
        tile_mma(c[m][0], rows, columns[0], columns[1]);
        tile_mma(c[m][1], rows, columns[2], columns[3]);
      }
    }
  }

  // c, rounded, as tiles A in x and in shared memory
  __device__ static void round(unsigned (&x)[kOwn][4], const float (&c)[kOwn][2][4], bf16* to) {
    bf16* const mine = to + lane() / 4 * kRow<kStepKeys> + lane() % 4 * 2;
    GMAIL_UNROLL
    for (int m = 0; m < kOwn; ++m) GMAIL_UNROLL
    for (int e = 0; e < 4; ++e) {
      x[m][e] = pack(c[m][e / 2][e % 2 * 2], c[m][e / 2][e % 2 * 2 + 1]);
      *reinterpret_cast<unsigned*>(mine + (16 * m + e % 2 * 8) * kRow<kStepKeys> + e / 2 * 8) = x[m][e];
    }
  }

  // eq. (2) for queries i .. and keys j .., and their share of dq in eq. (3)
  __device__ void step(bf16* p, bf16* ds, const bf16* q, const bf16* d_o, const bf16* k, const bf16* v,
                       const float* bias, int i, int j, const Heads& a) {
    const int g = lane() / 4, t = lane() % 4;
    float s[kOwn][2][4] = {}, dp[kOwn][2][4] = {};
    unsigned x[kOwn][4];
    product(s, q, k);
    GMAIL_UNROLL
    for (int m = 0; m < kOwn; ++m) GMAIL_UNROLL
    for (int e = 0; e < 8; ++e) {
      const int row = 16 * m + e % 4 / 2 * 8 + g, column = e / 4 * 8 + 2 * t + e % 2;
      float& one = s[m][e / 4][e % 4];
      const float power = one * (a.scale * kLog2E) + bias[column] - l[m][e % 4 / 2];
      one = a.causal && j + column > i + row + a.shift ? 0 : exp2_fast(power);
    }
    round(x, s, p);
    product(dp, d_o, v);
    GMAIL_UNROLL
    for (int m = 0; m < kOwn; ++m) GMAIL_UNROLL
    for (int e = 0; e < 8; ++e) {
      float& one = dp[m][e / 4][e % 4];
      one = s[m][e / 4][e % 4] * (one - delta[m][e % 4 / 2]);
    }
    round(x, dp, ds);
    GMAIL_UNROLL
    for (int d = 0; d < kD / 16; ++d) {
      unsigned columns[4];
      tile_b(columns, k + 16 * d, kRow<kD>);
      GMAIL_UNROLL
      for (int m = 0; m < kOwn; ++m) {
        tile_mma(dq[m][d / 2][d % 2 * 2], x[m], columns[0], columns[1]);
        tile_mma(dq[m][d / 2][d % 2 * 2 + 1], x[m], columns[2], columns[3]);
      }
    }
  }
};

// dv = p^T do, or dk = ds^T q, of `tiles` tiles of 16 keys and 32 channels, over the queries [begin, end)
template <int kD, int kOwn>
__device__ void key_gradient(Wide (&sum)[kOwn], const bf16* p, const bf16* d_o, int tiles, int begin,
                             int end) {
#if !GMAIL_EMULATED
#pragma unroll 2
#endif
  for (int i = begin; i < end; i += 16) {
    unsigned left[4], right[4], rows[4];
    tile_b(left, d_o + i * kRow<kD>, kRow<kD>);
    tile_b(right, d_o + i * kRow<kD> + 16, kRow<kD>);
    GMAIL_UNROLL
    for (int m = 0; m < kOwn; ++m) {
      if (m >= tiles) continue;
      tile_a_transposed(rows, p + i * kRow<kStepKeys> + 16 * m, kRow<kStepKeys>);
      tile_mma(sum[m][0], rows, left[0], left[1]);
      tile_mma(sum[m][1], rows, left[2], left[3]);
      tile_mma(sum[m][2], rows, right[0], right[1]);
      tile_mma(sum[m][3], rows, right[2], right[3]);
    }
  }
}

// keys j .., channels d0 .. of dk or dv, or of this block's part of it
__device__ inline void put_keys(const GradSpan<bf16>& to, DeviceSpan<float> parts, const Wide& c,
                                float factor, int64_t part, int64_t begin, int j, int d0, const Heads& a) {
  if (!parts) return put_rows(to, c, {factor, factor}, begin, j, a.Tk, d0, a);
  for (int n = 0; n < 4; ++n)
    for (int e = 0; e < 4; ++e) {
      const int row = j + lane() / 4 + e / 2 * 8, d = d0 + 8 * n + lane() % 4 * 2 + e % 2;
      if (row < a.Tk && d < a.D) parts[part + begin + row * a.C + d] = factor * c[n][e];
    }
}

template <int kD, int kOwn>
__global__ void __launch_bounds__(kBackwardWarps<kD, kOwn>* kWarp, kD <= 64 && kOwn == 1 ? 2 : 1)
    backward_kernel(Gradients out, Inputs in, Heads a, int query_blocks, int stages) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp, warps = static_cast<int>(blockDim.x) / kWarp;
  const int rows = 16 * kOwn * warps, own = 16 * kOwn * warp;
  DYN_SHARED(Stage<kD>, stage);                             // one or two
  bf16* const q = reinterpret_cast<bf16*>(stage + stages);  // (rows, kRow<kD>)
  bf16 *const d_o = q + rows * kRow<kD>, *const p =
                                             d_o + rows * kRow<kD>;  // (rows, kRow<kStepKeys>) from p on
  bf16* const ds = p + rows * kRow<kStepKeys>;
  const Begin at(blockIdx.x / query_blocks, a);
  const int block = static_cast<int>(blockIdx.x % query_blocks), i0 = block * rows;
  const int seen = i0 + rows + a.shift;  // keys that some query of the block sees
  const int end = a.causal && query_blocks > 1 && seen < a.Tk ? seen : a.Tk;
  load_rows<kD>(q, in.q, at.q, i0, rows, a.Tq, a);
  load_rows<kD>(d_o, in.d_o, at.q, i0, rows, a.Tq, a);
  if (end > 0) stage[0].load(in, at, 0, a);
  OwnQueries<kD, kOwn> queries(in, at, i0 + own, a);
  for (int j0 = 0, now = 0; j0 < end; j0 += kStepKeys, now = 1 - now) {
    copies_wait();
    __syncthreads();
    if (j0 + kStepKeys < end) stage[1 - now].load(in, at, j0 + kStepKeys, a);
    const int left = (a.Tk - j0 + 15) / 16, tiles = left < kStepKeys / 16 ? left : kStepKeys / 16;
    GMAIL_NO_UNROLL
    for (int n = 0; n < tiles; ++n) {
      const int row = own * kRow<kStepKeys> + 16 * n, keys = 16 * n * kRow<kD>, j = j0 + 16 * n;
      if (!a.causal || j <= i0 + own + 16 * kOwn - 1 + a.shift)
        queries.step(p + row, ds + row, q + own * kRow<kD>, d_o + own * kRow<kD>, stage[now].k + keys,
                     stage[now].v + keys, stage[now].bias + 16 * n, i0 + own, j, a);
    }
    __syncthreads();
    // dk and dv of so many tiles of keys and 32 channels: a unit of work
    const int groups = (tiles + kOwn - 1) / kOwn;
    for (int unit = warp; unit < groups * (kD / 16); unit += warps) {
      const bool is_v = unit % 2 == 0;
      const auto one_of = [is_v](auto for_v, auto for_k) { return is_v ? for_v : for_k; };
      const GradSpan<bf16> to = one_of(out.dv, out.dk);
      if (!to) continue;
      const int d0 = unit / 2 % (kD / 32) * 32, tile = unit / (kD / 16) * kOwn, j = j0 + 16 * tile;
      const int unseen =
          a.causal && j - a.shift > i0 ? j - a.shift - i0 : 0;  // so many queries see none of them
      Wide sum[kOwn] = {};
      key_gradient<kD, kOwn>(sum, one_of(p, ds) + 16 * tile, one_of(d_o, q) + d0, tiles - tile,
                             unseen / (16 * kOwn) * (16 * kOwn), rows);
      GMAIL_UNROLL
      for (int m = 0; m < kOwn; ++m)
        put_keys(to, one_of(out.dv_parts, out.dk_parts), sum[m], is_v ? 1 : a.scale, block * out.size, at.k,
                 j + 16 * m, d0, a);
    }
  }
  if (!out.dq) return;
  GMAIL_UNROLL
  for (int m = 0; m < kOwn; ++m) GMAIL_UNROLL
  for (int c = 0; c < kD / 32; ++c)
    put_rows(out.dq, queries.dq[m][c], {a.scale, a.scale}, at.q, i0 + own + 16 * m, a.Tq, 32 * c, a);
}

// dk or dv from the parts of the blocks of `rows` queries of which any sees key j
__global__ void add_parts(GradSpan<bf16> to, DeviceSpan<float> parts, int64_t size, int blocks, int rows,
                          Heads a) {
  const int64_t e = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (e >= size) return;
  const auto j = static_cast<int>(e / a.C % a.Tk);
  float sum = 0;
  for (int n = 0; n < blocks; ++n)
    if (!a.causal || j < (n + 1) * rows + a.shift) sum += parts[n * size + e];
  to.put(e, sum);
}

template <int kD, int kOwn>
void launch_backward(Gradients out, const Inputs& in, const AttentionSizes& s, const Heads& a,
                     Stream stream) {
  const int64_t tiles = std::max<int64_t>(1, (s.Tq + 16 * kOwn - 1) / (16 * kOwn));
  const int64_t stages = s.Tk > kStepKeys ? 2 : 1;
  const size_t fixed = stages * sizeof(Stage<kD>);
  const size_t a_warp = 32 * kOwn * (kRow<kD> + kRow<kStepKeys>)*sizeof(bf16);
  const auto fit = static_cast<int64_t>((most_shared() - fixed) / a_warp);  // an A100 has less than an H200
  const int64_t most =
      std::min<int64_t>(fit, tiles <= kBackwardWarps<kD, kOwn> ? kBackwardWarps<kD, kOwn> : 8);
  const int64_t blocks = (tiles + most - 1) / most, warps = (tiles + blocks - 1) / blocks;
  const int64_t rows = 16 * kOwn * warps;
  const size_t shared = fixed + warps * a_warp;
  Tensor dk_parts, dv_parts;
  if (blocks > 1 && out.dk) dk_parts = temporary({blocks, out.size}, DType::float32, stream);
  if (blocks > 1 && out.dv) dv_parts = temporary({blocks, out.size}, DType::float32, stream);
  out.dk_parts = span<float>(dk_parts), out.dv_parts = span<float>(dv_parts);
  launch(stream, backward_kernel<kD, kOwn>, blocks_for(s.B * s.heads * blocks, 1),
         static_cast<unsigned>(warps * kWarp), shared, out, in, a, static_cast<int>(blocks),
         static_cast<int>(stages));
  const auto add = [&](const GradSpan<bf16>& to, DeviceSpan<float> parts) {
    if (parts)
      launch(stream, add_parts, blocks_for(out.size, 256), 256, 0, to, parts, out.size,
             static_cast<int>(blocks), static_cast<int>(rows), a);
  };
  add(out.dk, out.dk_parts);
  add(out.dv, out.dv_parts);
}

inline void backward(Grad dq, Grad dk, Grad dv, const Tensor& d_o, const Tensor& o, const Tensor& l,
                     const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSizes& s,
                     const AttentionMask& mask, Stream stream) {
  if (s.B * s.heads == 0) return;
  const Heads a = heads(s, mask, {dq.t, dk.t, dv.t, d_o, o, q, k, v});
  const Gradients out{grad<bf16>(dq), grad<bf16>(dk), grad<bf16>(dv), {}, {}, k.numel()};
  const Inputs in{span<bf16>(d_o), span<bf16>(o), span<bf16>(q),
                  span<bf16>(k),   span<bf16>(v), span<float>(l)};
  with_head(s.D, [&](auto head) {
    constexpr int kD = decltype(head)::value;
    if constexpr (kD <= 64)
      if (s.Tq > 128) return launch_backward<kD, 2>(out, in, s, a, stream);
    launch_backward<kD, 1>(out, in, s, a, stream);
  });
}

}  // namespace gmail::cuda::tiles
