// Ops that treat every element on its own: f.at<K>(i) does the elements i .. i + K - 1. K a thread where
// everything is aligned, and the last few one by one.
#pragma once

#include "vector.cuh"

namespace gmail::cuda {

constexpr int kEachThreads = 256;

template <int K, class F>
__global__ void each_kernel(F f, int64_t n) {
  int64_t i = (int64_t{blockIdx.x} * kEachThreads + threadIdx.x) * K;
  if (i + K <= n)
    f.template at<K>(i);
  else
    for (; i < n; ++i) f.template at<1>(i);
}

// wide: may f be asked for K at a time?
template <int K, class F>
void each(F f, int64_t n, bool wide, Stream stream) {
  if (n == 0) return;
  if (wide)
    launch(stream, each_kernel<K, F>, blocks_for(n, int64_t{K} * kEachThreads), kEachThreads, 0, f, n);
  else
    launch(stream, each_kernel<1, F>, blocks_for(n, kEachThreads), kEachThreads, 0, f, n);
}

}  // namespace gmail::cuda
