// out[0] = factor * sum_i f(i) over n items, or added to it: each block sums a stretch that depends on n
// alone, one block adds the stretches in order.
#pragma once

#include "reduce.cuh"
#include "temporary.h"

namespace gmail::cuda {

constexpr int kTotalThreads = 256;
constexpr int64_t kMaxStretches = 256;

template <class F>
__global__ void stretch_sums(DeviceSpan<float> sums, F f, int64_t n, int64_t stretch) {
  __shared__ float partial[kWarp];
  const int64_t begin = blockIdx.x * stretch, end = begin + stretch < n ? begin + stretch : n;
  float sum = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kTotalThreads) sum += f(i);
  sum = block_reduce<Sum>(sum, partial);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

template <class T>
__global__ void stretch_total(GradSpan<T> out, DeviceSpan<const float> sums, int64_t stretches,
                              float factor) {
  __shared__ float partial[kWarp];
  const float sum = block_reduce<Sum>(threadIdx.x < stretches ? sums[threadIdx.x] : 0.0F, partial);
  if (threadIdx.x == 0) out.put(0, factor * sum);
}

template <class T, class F>
void total(GradSpan<T> out, F f, int64_t n, float factor, Stream stream) {
  const int64_t least = (n + kMaxStretches - 1) / kMaxStretches, stretch = least < 4096 ? 4096 : least;
  const int64_t stretches = n > 0 ? (n + stretch - 1) / stretch : 0;
  Tensor memory = temporary({stretches}, DType::float32, stream);
  const DeviceSpan<float> sums = span<float>(memory);
  if (n > 0) launch(stream, stretch_sums<F>, blocks_for(stretches, 1), kTotalThreads, 0, sums, f, n, stretch);
  launch(stream, stretch_total<T>, 1, kTotalThreads, 0, out, part(sums, 0), stretches, factor);
}

}  // namespace gmail::cuda
