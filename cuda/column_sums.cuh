// Sums over the rows of K functions of (row, column), the shape of every weight's gradient: out_k[c] = sum_n
// f_k(n, c). The rows are cut into chunks that depend on N alone; each chunk adds its rows in order, and so
// the chunks added: the same bits in every run.
//   f(n, c, v)           gives the K values of one column
//   f.at<V>(n, c, v)     those of V neighbouring columns, if f says how many: F::kVector, where f.wide(C)
// holds
#pragma once

#include "temporary.h"
#include "vector.cuh"

namespace gmail::cuda {

constexpr int kColumns = 32, kRowLanes = 8;  // of a block: kColumns vectors wide
constexpr int64_t kMaxChunks = 128;

template <class F>
concept WideColumns = requires {
  F::kVector;
};

// partial (chunks, K, C)
template <int K, int V, class F>
__global__ void column_partials(DeviceSpan<float> partial, F f, int64_t N, int64_t C, int64_t rows) {
  __shared__ float sums[kRowLanes][kColumns * V];
  const int column = static_cast<int>(threadIdx.x % kColumns) * V,
            lane = static_cast<int>(threadIdx.x / kColumns);
  const int64_t first = int64_t{blockIdx.x} * kColumns * V, chunk = blockIdx.y;
  const int64_t end = (chunk + 1) * rows < N ? (chunk + 1) * rows : N;
  float sum[K][V] = {};
  if (first + column < C)
    for (int64_t n = chunk * rows + lane; n < end; n += kRowLanes) {
      float v[K][V];
      if constexpr (V > 1) {
        f.template at<V>(n, first + column, v);
      } else {
        float one[K];
        f(n, first + column, one);
        for (int k = 0; k < K; ++k) v[k][0] = one[k];
      }
      for (int k = 0; k < K; ++k)
        for (int i = 0; i < V; ++i) sum[k][i] += v[k][i];
    }
  for (int k = 0; k < K; ++k) {
    for (int i = 0; i < V; ++i) sums[lane][column + i] = sum[k][i];
    __syncthreads();
    const int c = static_cast<int>(threadIdx.x);
    if (c < kColumns * V && first + c < C) {
      float total = 0;
      for (int i = 0; i < kRowLanes; ++i) total += sums[i][c];
      partial[(chunk * K + k) * C + first + c] = total;
    }
    __syncthreads();
  }
}

constexpr int kTotalLanes = 32;  // the chunks of a column are dealt out to so many threads

template <int K, class T>
struct Totals {
  GradSpan<T> out[K];
};

// partial (chunks, K, C); K stands in the grid's y
template <int K, class T>
__global__ void column_totals(Totals<K, T> totals, DeviceSpan<const float> partial, int64_t C,
                              int64_t chunks) {
  __shared__ float sums[kTotalLanes][kColumns + 1];
  const int column = static_cast<int>(threadIdx.x % kColumns),
            lane = static_cast<int>(threadIdx.x / kColumns);
  const int64_t c = int64_t{blockIdx.x} * kColumns + column, k = blockIdx.y;
  float sum = 0;
  if (c < C)
    for (int64_t i = lane; i < chunks; i += kTotalLanes) sum += partial[(i * K + k) * C + c];
  sums[lane][column] = sum;
  __syncthreads();
  if (lane != 0 || c >= C) return;
  float total = 0;
  for (int i = 0; i < kTotalLanes; ++i) total += sums[i][column];
  const GradSpan<T> out = k == 0 ? totals.out[0] : totals.out[K - 1];  // K is 1 or 2
  if (out) out.put(c, total);
}

// out[k] may be absent
template <int K, class T>
void add_chunks(const GradSpan<T> (&out)[K], DeviceSpan<const float> partial, int64_t C, int64_t chunks,
                Stream stream) {
  static_assert(K <= 2);
  Totals<K, T> totals;
  for (int k = 0; k < K; ++k) totals.out[k] = out[k];
  launch(stream, column_totals<K, T>, dim3(blocks_for(C, kColumns), K), kColumns * kTotalLanes, 0, totals,
         partial, C, chunks);
}

template <int K, class T, class F>
void column_sums(const GradSpan<T> (&out)[K], F f, int64_t N, int64_t C, Stream stream) {
  const int64_t rows =
      (N + kMaxChunks - 1) / kMaxChunks < 4 * kRowLanes ? 4 * kRowLanes : (N + kMaxChunks - 1) / kMaxChunks;
  const int64_t chunks = N > 0 ? (N + rows - 1) / rows : 0;
  Tensor memory = temporary({chunks * K * C}, DType::float32, stream);
  const DeviceSpan<float> partial = span<float>(memory);
  const auto run = [&](auto kernel, int64_t width) {
    if (chunks > 0)
      launch(stream, kernel, dim3(blocks_for(C, width), static_cast<unsigned>(chunks)), kColumns * kRowLanes,
             0, partial, f, N, C, rows);
  };
  bool wide = false;
  if constexpr (WideColumns<F>) {
    wide = f.wide(C);
    if (wide) run(column_partials<K, F::kVector, F>, kColumns * F::kVector);
  }
  if (!wide) run(column_partials<K, 1, F>, kColumns);
  add_chunks(out, part(partial, 0), C, chunks, stream);
}

// f of the sum of the columns of x (N, C)
template <class T>
struct Elements {
  static constexpr int kVector = kWide<T>;
  DeviceSpan<const T> x;
  int64_t C;
  bool wide(int64_t columns) const { return columns % kVector == 0 && aligned(x); }
  __device__ void operator()(int64_t n, int64_t c, float (&v)[1]) const { v[0] = load(x[n * C + c]); }
  template <int V>
  __device__ void at(int64_t n, int64_t c, float (&v)[1][V]) const {
    const Pack<T, V> pack = read_pack<V>(x, n * C + c);
    GMAIL_UNROLL
    for (int i = 0; i < V; ++i) v[0][i] = pack[i];
  }
};

}  // namespace gmail::cuda
