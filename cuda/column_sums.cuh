// Sums over the rows of K functions of (row, column), the shape of every weight's gradient: out_k[c] = sum_n
// f_k(n, c). The rows are cut into chunks that depend on N alone; each chunk adds its rows in order, and
// so are the chunks added: the same bits in every run.
#pragma once

#include "temporary.h"

namespace gmail::cuda {

constexpr int kColumns = 32, kRowLanes = 8;  // of a block
constexpr int64_t kMaxChunks = 128;

// partial (chunks, K, C)
template <int K, class F>
__global__ void column_partials(DeviceSpan<float> partial, F f, int64_t N, int64_t C, int64_t rows) {
  __shared__ float sums[K][kRowLanes][kColumns];
  const int column = static_cast<int>(threadIdx.x % kColumns),
            lane = static_cast<int>(threadIdx.x / kColumns);
  const int64_t c = int64_t{blockIdx.x} * kColumns + column, chunk = blockIdx.y;
  const int64_t end = (chunk + 1) * rows < N ? (chunk + 1) * rows : N;
  float sum[K] = {};
  if (c < C)
    for (int64_t n = chunk * rows + lane; n < end; n += kRowLanes) {
      float v[K];
      f(n, c, v);
      for (int k = 0; k < K; ++k) sum[k] += v[k];
    }
  for (int k = 0; k < K; ++k) sums[k][lane][column] = sum[k];
  __syncthreads();
  if (lane == 0 && c < C)
    for (int k = 0; k < K; ++k) {
      float total = 0;
      for (int i = 0; i < kRowLanes; ++i) total += sums[k][i][column];
      partial[(chunk * K + k) * C + c] = total;
    }
}

template <class T>
__global__ void column_totals(GradSpan<T> out, DeviceSpan<const float> partial, int64_t C, int64_t chunks,
                              int64_t stride) {
  const int64_t c = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (c >= C) return;
  float total = 0;
  for (int64_t i = 0; i < chunks; ++i) total += partial[i * stride + c];
  out.put(c, total);
}

// out[k] may be absent
template <int K, class T, class F>
void column_sums(const GradSpan<T> (&out)[K], F f, int64_t N, int64_t C, Stream stream) {
  const int64_t rows =
      (N + kMaxChunks - 1) / kMaxChunks < 4 * kRowLanes ? 4 * kRowLanes : (N + kMaxChunks - 1) / kMaxChunks;
  const int64_t chunks = N > 0 ? (N + rows - 1) / rows : 0;
  Tensor memory = temporary({chunks * K * C}, DType::float32, stream);
  const DeviceSpan<float> partial = span<float>(memory);
  if (chunks > 0)
    launch(stream, column_partials<K, F>, dim3(blocks_for(C, kColumns), static_cast<unsigned>(chunks)),
           kColumns * kRowLanes, 0, partial, f, N, C, rows);
  for (int k = 0; k < K; ++k)
    if (out[k])
      launch(stream, column_totals<T>, blocks_for(C, 256), 256, 0, out[k], part(partial, k * C), C, chunks,
             K * C);
}

}  // namespace gmail::cuda
