// What a warp does with tiles of bfloat16: it multiplies them on the tensor cores, and fetches them from
// shared and from device memory. Each function is one or two instructions of the GPU (compute capability 8.0
// and later); tests/emulator/tiles.h says in C++ what they mean, and the emulator runs that. Lane 4 g + t of
// a warp holds pairs of neighbours, in registers of 32 bits, the first of a pair in the low half:
//   A (16, 16)  a[0] (g, 2t), a[1] (g + 8, 2t), a[2] (g, 2t + 8), a[3] (g + 8, 2t + 8)   along the row
//   B (16, 8)   b0 (2t, g), b1 (2t + 8, g)                                        down the column
//   C (16, 8)   c[0], c[1] (g, 2t), c[2], c[3] (g + 8, 2t)                        floats, along the row
// Two tiles C side by side, rounded, are a tile A.
#pragma once

#include "device_span.h"
#include "rows.cuh"

#if GMAIL_EMULATED
#include "tiles.h"
#define GMAIL_UNROLL
#define GMAIL_NO_UNROLL
#else
#define GMAIL_UNROLL _Pragma("unroll")
#define GMAIL_NO_UNROLL _Pragma("unroll 1")
#endif

namespace gmail::cuda {

// c += a b; every lane of the warp comes here
__device__ inline void tile_mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if GMAIL_EMULATED
  emulator::tile_mma(c, a, b0, b1);
#else
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// Four 8 x 8 matrices from shared memory; lane 8 m + r names row r of matrix m, 16 bytes. Lane 4 g + t gets
// into x[m] the pair (g, 2t) of matrix m, or of its transpose.
template <bool kTranspose>
__device__ void load_matrices(unsigned (&x)[4], const bf16* row) {
#if GMAIL_EMULATED
  emulator::load_matrices(x, row, kTranspose);
#else
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (kTranspose)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(at)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(at)
                 : "memory");
#endif
}

// Four bytes, or sixteen, from device to shared memory, or zeros if there is nothing to copy. It happens by
// the time that copies_wait returns; other threads see it after a barrier.
template <int kBytes>
__device__ void copy_later(void* shared, const void* device, bool there) {
#if GMAIL_EMULATED
  emulator::copy_later(shared, there ? device : nullptr, kBytes);
#else
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  if constexpr (kBytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(at), "l"(__cvta_generic_to_global(device)), "r"(there ? 16 : 0)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
                 :
                 : "r"(at), "l"(__cvta_generic_to_global(device)), "r"(there ? 4 : 0)
                 : "memory");
#endif
}
__device__ inline void copies_wait() {
#if GMAIL_EMULATED
  emulator::copies_wait();
#else
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// 2^x, to about 2 units of the last place
__device__ inline float exp2_fast(float x) {
#if GMAIL_EMULATED
  return std::exp2(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

__device__ inline unsigned pack(float low, float high) {
#if GMAIL_EMULATED
  return __builtin_bit_cast(unsigned, __floats2bfloat162_rn(low, high));
#else
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#endif
}
__device__ inline float low(unsigned pair) { return __uint_as_float(pair << 16U); }
__device__ inline float high(unsigned pair) { return __uint_as_float(pair & 0xffff0000U); }

// A tile A or two tiles B side by side (16, 16) from shared memory, `corner` being its first element. What is
// stored is the tile or its transpose; rows are `stride` elements apart, a multiple of 8. For B x[0], x[1]
// are b0 and b1 of the left one, x[2], x[3] of the right one.
__device__ inline void tile_a_transposed(unsigned (&x)[4], const bf16* corner, int stride) {  // stored (k, m)
  load_matrices<true>(x, corner + (lane() % 8 + lane() / 16 * 8) * stride + lane() / 8 % 2 * 8);
}
__device__ inline void tile_b(unsigned (&x)[4], const bf16* corner, int stride) {  // stored (k, n)
  load_matrices<true>(x, corner + lane() % 16 * stride + lane() / 16 * 8);
}
__device__ inline void tile_b_transposed(unsigned (&x)[4], const bf16* corner, int stride) {  // stored (n, k)
  load_matrices<false>(x, corner + (lane() % 8 + lane() / 16 * 8) * stride + lane() / 8 % 2 * 8);
}
__device__ inline void tile_a(unsigned (&x)[4], const bf16* corner, int stride) {  // stored (m, k)
  load_matrices<false>(x, corner + lane() % 16 * stride + lane() / 16 * 8);
}

// Among the four lanes of a row: lane t gets what lane i had in x[t] into x[i]. It turns eight elements of 32
// in each lane, a load of 16 bytes, into the pairs of four tiles, and those back.
__device__ inline void transpose_quad(unsigned (&x)[4]) {
  GMAIL_UNROLL
  for (int bit = 1; bit < 4; bit *= 2) {
    const bool upper = (lane() & bit) != 0;
    GMAIL_UNROLL
    for (int i = 0; i < 4; ++i) {
      if ((i & bit) != 0) continue;
      const unsigned other = __shfl_xor_sync(kAllLanes, upper ? x[i] : x[i | bit], bit);
      (upper ? x[i] : x[i | bit]) = other;
    }
  }
}

template <class Op>
__device__ float quad_reduce(float v) {  // over the four lanes of a row
  v = Op::of(v, __shfl_xor_sync(kAllLanes, v, 1));
  return Op::of(v, __shfl_xor_sync(kAllLanes, v, 2));
}

}  // namespace gmail::cuda
