#include "ops/cross_entropy.h"

#include "device_span.h"
#include "reduce.cuh"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

struct Rows {
  DeviceSpan<const int32_t> target, mask;
  int64_t N, V;
  __device__ bool counts(int64_t n) const { return !mask || mask[n] != 0; }
};

// M of eq. (1), in every thread of a block
__device__ float counted(const Rows& s, float* partial) {
  float sum = 0;
  for (int64_t n = threadIdx.x; n < s.N; n += blockDim.x) sum += s.counts(n) ? 1.0F : 0.0F;
  return block_reduce<Sum>(sum, partial);
}

// l_n of eq. (1), a block a row
template <class T>
__global__ void log_sum_kernel(DeviceSpan<float> l, DeviceSpan<const T> z, Rows s) {
  __shared__ float partial[kWarp];
  const int64_t n = blockIdx.x, at = n * s.V;
  if (!s.counts(n)) {  // the whole block
    if (threadIdx.x == 0) l[n] = 0;
    return;
  }
  float m = Max::kNone, sum = 0;
  for (int64_t v = threadIdx.x; v < s.V; v += kThreads) m = Max::of(m, load(z[at + v]));
  m = block_reduce<Max>(m, partial);
  for (int64_t v = threadIdx.x; v < s.V; v += kThreads) sum += expf(load(z[at + v]) - m);
  sum = block_reduce<Sum>(sum, partial);
  if (threadIdx.x == 0) l[n] = m + logf(sum);
}

// L of eq. (1), one block
template <class T>
__global__ void loss_kernel(DeviceSpan<float> loss, DeviceSpan<const float> l, DeviceSpan<const T> z,
                            Rows s) {
  __shared__ float partial[kWarp];
  const float M = counted(s, partial);
  float sum = 0;
  for (int64_t n = threadIdx.x; n < s.N; n += kThreads) {
    if (!s.counts(n)) continue;
    const int64_t target = s.target[n];
    sum += target >= 0 && target < s.V ? l[n] - load(z[n * s.V + target]) : __uint_as_float(0x7fc00000U);
  }
  sum = block_reduce<Sum>(sum, partial);
  if (threadIdx.x == 0) loss[0] = M > 0 ? sum / M : 0;
}

// eq. (2), a block a row
template <class T>
__global__ void backward_kernel(GradSpan<T> dz, DeviceSpan<const float> dloss, DeviceSpan<const T> z,
                                DeviceSpan<const float> l, Rows s) {
  __shared__ float partial[kWarp];
  const int64_t n = blockIdx.x, at = n * s.V;
  const float M = counted(s, partial), factor = dloss[0] / (M > 1 ? M : 1);
  const bool counts = s.counts(n);
  for (int64_t v = threadIdx.x; v < s.V; v += kThreads) {
    const float p = counts ? expf(load(z[at + v]) - l[n]) - (v == s.target[n] ? 1.0F : 0.0F) : 0.0F;
    dz.put(at + v, factor * p);
  }
}

}  // namespace

void softmax_cross_entropy_forward(Tensor& loss, Tensor& l, const Tensor& logits, const Tensor& targets,
                                   const Tensor& mask, Stream stream) {
  const auto [N, V] = cross_entropy_sizes(logits, targets, mask);
  const Rows s{span<int32_t>(targets), span<int32_t>(mask), N, V};
  with_device_type(logits.dtype(), [&, N = N](auto zero) {
    using T = decltype(zero);
    if (N > 0)
      launch(stream, log_sum_kernel<T>, blocks_for(N, 1), kThreads, 0, span<float>(l), span<T>(logits), s);
    launch(stream, loss_kernel<T>, 1, kThreads, 0, span<float>(loss), span<float>(std::as_const(l)),
           span<T>(logits), s);
  });
}

void softmax_cross_entropy_backward(Grad dlogits, const Tensor& dloss, const Tensor& logits, const Tensor& l,
                                    const Tensor& targets, const Tensor& mask, Stream stream) {
  const auto [N, V] = cross_entropy_sizes(logits, targets, mask);
  if (!dlogits || N == 0) return;
  const Rows s{span<int32_t>(targets), span<int32_t>(mask), N, V};
  with_device_type(logits.dtype(), [&, N = N](auto zero) {
    using T = decltype(zero);
    launch(stream, backward_kernel<T>, blocks_for(N, 1), kThreads, 0, grad<T>(dlogits), span<float>(dloss),
           span<T>(logits), span<float>(l), s);
  });
}

}  // namespace gmail::cuda
