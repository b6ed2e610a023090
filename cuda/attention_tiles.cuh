// Attention on the tensor cores, what its forward and backward share: how the rows of a head come into tiles
// and go back. A head of D channels is worked on as one of kD = 32, 64 or 128, padded with zeros; so are the
// tokens.
#pragma once

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "ops/attention.h"
#include "tile_mma.cuh"

namespace gmail::cuda::tiles {

constexpr int kMaxHead = 128;
constexpr float kMinusInfinity = -__builtin_huge_valf(), kLog2E = 1.44269504F, kLn2 = 0.693147181F;

// Elements from one row to the next in shared memory: 8 rows at one column lie in different banks.
template <int kD>
constexpr int kRow = kD + 8;

// Tokens and channels of a head are counted in int, elements of a tensor in int64_t.
struct Heads {
  int Tq, Tk, D, heads;
  int shift;  // causal: query i sees key j if j <= i + shift
  bool causal;
  bool wide;  // every row begins at a multiple of 16 bytes and D is one of 8
  int64_t C;
  float scale;
  DeviceSpan<const int32_t> keys;  // (B, Tk), absent: all
};

// Where a head begins: token 0 of q, o, .. and of k, v, its row of l, its row of the key mask.
struct Begin {
  int64_t q, k, l, keys;
  __device__ Begin(unsigned index, const Heads& a) {
    const int64_t b = index / static_cast<unsigned>(a.heads);
    const int64_t column = (index - b * a.heads) * a.D;
    q = b * a.Tq * a.C + column;
    k = b * a.Tk * a.C + column;
    l = int64_t{index} * a.Tq;
    keys = b * a.Tk;
  }
};

// Eight elements, or all of what a row of D channels has of them; both ends are checked by the emulator.
template <class T>
__device__ T* eight(DeviceSpan<T> x, int64_t i) {
  (void)x[i + 7];
  return &x[i];
}

// Tokens [first, first + rows) of a head -> shared memory (rows, kRow). They are there after copies_wait and
// a barrier.
template <int kD>
__device__ void load_rows(bf16* to, DeviceSpan<const bf16> x, int64_t begin, int first, int rows, int tokens,
                          const Heads& a) {
  constexpr int kPieces = kD / 8;
  for (int e = static_cast<int>(threadIdx.x); e < rows * kPieces; e += static_cast<int>(blockDim.x)) {
    const int row = e / kPieces, d = e % kPieces * 8;
    const int64_t at = begin + (first + row) * a.C + d;
    const bool there = first + row < tokens && d < a.D;
    bf16* const piece = to + row * kRow<kD> + d;
    if (a.wide)
      copy_later<16>(piece, there ? eight(x, at) : x.p, there);
    else
      for (int i = 0; i < 8; ++i) piece[i] = there && d + i < a.D ? x[at + i] : store<bf16>(0);
  }
}

// 0 for the keys [j0, j0 + count) of a head that the mask lets through, -inf for the others and past the end
__device__ inline void load_bias(float* bias, int j0, int count, const Begin& at, const Heads& a) {
  for (int e = static_cast<int>(threadIdx.x); e < count; e += static_cast<int>(blockDim.x)) {
    const bool seen = j0 + e < a.Tk && (!a.keys || a.keys[at.keys + j0 + e] != 0);
    bias[e] = seen ? 0.0F : kMinusInfinity;
  }
}

// 32 channels from d0 on of the row at `at`, or zeros: pair t of tile n of 8 channels in x[n]
template <class T>
__device__ void load_pairs(unsigned (&x)[4], DeviceSpan<T> from, int64_t at, int d0, bool there,
                           const Heads& a) {
  const int t = lane() % 4;
  if (a.wide) {
    const int d = d0 + 8 * t;
    uint4 piece = {0, 0, 0, 0};
    if (there && d < a.D) piece = *reinterpret_cast<const uint4*>(eight(from, at + d));
    x[0] = piece.x, x[1] = piece.y, x[2] = piece.z, x[3] = piece.w;
    return transpose_quad(x);
  }
  for (int n = 0; n < 4; ++n) {
    const int d = d0 + 8 * n + 2 * t;
    x[n] = pack(there && d < a.D ? load(from[at + d]) : 0.0F,
                there && d + 1 < a.D ? load(from[at + d + 1]) : 0.0F);
  }
}

// Sixteen rows of a head as tiles A (16, 16): this lane's rows g and g + 8
template <int kD>
struct Rows {
  unsigned upper[kD / 32][4], lower[kD / 32][4];
  __device__ void load(DeviceSpan<const bf16> x, int64_t begin, int first, int tokens, const Heads& a) {
    const int row = first + lane() / 4;
    GMAIL_UNROLL
    for (int c = 0; c < kD / 32; ++c) {
      load_pairs(upper[c], x, begin + row * a.C, 32 * c, row < tokens, a);
      load_pairs(lower[c], x, begin + (row + 8) * a.C, 32 * c, row + 8 < tokens, a);
    }
  }
  __device__ void tile(unsigned (&x)[4], int k) const {  // columns 16 k ..
    const int c = k / 2, n = k % 2 * 2;
    x[0] = upper[c][n], x[1] = lower[c][n], x[2] = upper[c][n + 1], x[3] = lower[c][n + 1];
  }
};

using Wide = float[4][4];  // four tiles C side by side (16, 32)

// factor[0] times the upper rows, factor[1] times the lower rows of c -> channels d0 .. of tokens first ..
__device__ inline void put_rows(const GradSpan<bf16>& to, const Wide& c, const float (&factor)[2],
                                int64_t begin, int first, int tokens, int d0, const Heads& a) {
  const int t = lane() % 4;
  GMAIL_UNROLL
  for (int half = 0; half < 2; ++half) {
    const int row = first + lane() / 4 + 8 * half, d = d0 + 8 * t;
    const int64_t at = begin + row * a.C;
    if (!a.wide) {
      for (int n = 0; n < 4; ++n)
        for (int e = 0; e < 2; ++e) {
          const int column = d0 + 8 * n + 2 * t + e;
          if (row < tokens && column < a.D) to.put(at + column, factor[half] * c[n][2 * half + e]);
        }
      continue;
    }
    unsigned x[4] = {};
    if (to.add) load_pairs(x, to.g, at, d0, row < tokens, a);
    GMAIL_UNROLL
    for (int n = 0; n < 4; ++n)
      x[n] = pack(low(x[n]) + factor[half] * c[n][2 * half], high(x[n]) + factor[half] * c[n][2 * half + 1]);
    transpose_quad(x);
    if (row >= tokens || d >= a.D) continue;
    *reinterpret_cast<uint4*>(eight(to.g, at + d)) = {x[0], x[1], x[2], x[3]};
  }
}

inline bool aligned(const Tensor& t) { return !t || reinterpret_cast<uintptr_t>(t.raw()) % 16 == 0; }

inline Heads heads(const AttentionSizes& s, const AttentionMask& mask,
                   std::initializer_list<Tensor> tensors) {
  constexpr int64_t kMost = int64_t{1} << 30U;
  GMAIL_CHECK(s.Tq < kMost && s.Tk < kMost, "[attention] ", s.Tq, " queries and ", s.Tk,
              " keys are too many");
  const auto to_int = [](int64_t x) { return static_cast<int>(x); };
  return {.Tq = to_int(s.Tq),
          .Tk = to_int(s.Tk),
          .D = to_int(s.D),
          .heads = to_int(s.heads),
          .shift = to_int(s.Tk - s.Tq),
          .causal = mask.causal,
          .wide = s.D % 8 == 0 && std::all_of(tensors.begin(), tensors.end(), aligned),
          .C = s.C,
          .scale = 1 / std::sqrt(static_cast<float>(s.D)),
          .keys = span<int32_t>(mask.keys)};
}

// Calls f(constant) with the head size of the kernels that takes D channels.
template <class F>
void with_head(int64_t D, F&& f) {
  if (D <= 32) return f(std::integral_constant<int, 32>());
  if (D <= 64) return f(std::integral_constant<int, 64>());
  f(std::integral_constant<int, 128>());
}

}  // namespace gmail::cuda::tiles
