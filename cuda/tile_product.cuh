// A matrix product whose operands are functions of their indices: what an implicit convolution
// multiplies. A block computes a tile of 64 x 64, 16 terms of the sum at a time; a long sum is cut into
// chunks that depend on the sizes alone, whose results are added in order.
//   F::a(m, k), F::b(k, n)  the operands, asked for inside the sizes only        F::put(m, n, v)  the result
#pragma once

#include "temporary.h"

namespace gmail::cuda {

constexpr int kTile = 64, kDepth = 16, kPerThread = 4, kTileThreads = 256;

struct ProductSizes {
  int64_t M, N, K;
};

// partial (chunks, M, N) takes the result if there are chunks, else F::put does
template <class F>
__global__ void tile_kernel(F f, ProductSizes s, int64_t chunk, DeviceSpan<float> partial) {
  __shared__ float a[kDepth][kTile], b[kDepth][kTile];
  const int64_t m0 = int64_t{blockIdx.x} * kTile, n0 = int64_t{blockIdx.y} * kTile;
  const int64_t begin = blockIdx.z * chunk, end = begin + chunk < s.K ? begin + chunk : s.K;
  const int row = static_cast<int>(threadIdx.x / 16) * kPerThread,
            column = static_cast<int>(threadIdx.x % 16);
  float acc[kPerThread][kPerThread] = {};
  for (int64_t k0 = begin; k0 < end; k0 += kDepth) {
    for (int e = static_cast<int>(threadIdx.x); e < kDepth * kTile; e += kTileThreads) {
      const int64_t ka = k0 + e % kDepth, m = m0 + e / kDepth;  // neighbours read along k of a, along n of b
      const int64_t kb = k0 + e / kTile, n = n0 + e % kTile;
      a[e % kDepth][e / kDepth] = ka < end && m < s.M ? f.a(m, ka) : 0.0F;
      b[e / kTile][e % kTile] = kb < end && n < s.N ? f.b(kb, n) : 0.0F;
    }
    __syncthreads();
    for (int k = 0; k < kDepth; ++k)
      for (int i = 0; i < kPerThread; ++i)
        for (int j = 0; j < kPerThread; ++j) acc[i][j] += a[k][row + i] * b[k][column + 16 * j];
    __syncthreads();
  }
  for (int i = 0; i < kPerThread; ++i)
    for (int j = 0; j < kPerThread; ++j) {
      const int64_t m = m0 + row + i, n = n0 + column + 16 * j;
      if (m >= s.M || n >= s.N) continue;
      if (partial)
        partial[(blockIdx.z * s.M + m) * s.N + n] = acc[i][j];
      else
        f.put(m, n, acc[i][j]);
    }
}

template <class F>
__global__ void tile_total(F f, ProductSizes s, int64_t chunks, DeviceSpan<const float> partial) {
  const int64_t i = int64_t{blockIdx.x} * kTileThreads + threadIdx.x;
  if (i >= s.M * s.N) return;
  float sum = 0;
  for (int64_t c = 0; c < chunks; ++c) sum += partial[c * s.M * s.N + i];
  f.put(i / s.N, i % s.N, sum);
}

template <class F>
void tile_product(F f, ProductSizes s, Stream stream) {
  const int64_t tiles = int64_t{blocks_for(s.M, kTile)} * blocks_for(s.N, kTile);
  int64_t chunks = 1;  // enough blocks for a large GPU, at least 256 terms each
  while (tiles * chunks < 264 && s.K / (2 * chunks) >= 256) chunks *= 2;
  const int64_t chunk = (s.K + chunks - 1) / chunks;
  const dim3 grid(blocks_for(s.M, kTile), blocks_for(s.N, kTile), static_cast<unsigned>(chunks));
  if (chunks == 1)
    return launch(stream, tile_kernel<F>, grid, kTileThreads, 0, f, s, chunk, DeviceSpan<float>());
  Tensor memory = temporary({chunks, s.M, s.N}, DType::float32, stream);
  launch(stream, tile_kernel<F>, grid, kTileThreads, 0, f, s, chunk, span<float>(memory));
  launch(stream, tile_total<F>, blocks_for(s.M * s.N, kTileThreads), kTileThreads, 0, f, s, chunks,
         span<float>(std::as_const(memory)));
}

}  // namespace gmail::cuda
