#include "ops/grad_norm.h"

#include "four.cuh"
#include "reduce.cuh"
#include "temporary.h"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxStretches = 1024;

// The sum of the block's values, in thread 0.
__device__ double block_sum(double v, double* partial) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) v += __shfl_xor_sync(kAllLanes, v, lanes);
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = v;
  __syncthreads();
  double sum = 0;
  if (threadIdx.x == 0)
    for (int warp = 0; warp < kThreads / kWarp; ++warp) sum += partial[warp];
  return sum;
}

// Each block sums the squares of a stretch that depends on n alone.
template <bool kAligned>
__global__ void square_sums(DeviceSpan<double> sums, DeviceSpan<const float> g, int64_t n, int64_t stretch) {
  __shared__ double partial[kThreads / kWarp];
  const int64_t begin = blockIdx.x * stretch, end = begin + stretch < n ? begin + stretch : n;
  double sum = 0;
  for (int64_t i = begin + 4 * int64_t{threadIdx.x}; i < end; i += 4 * kThreads) {
    float x[4];
    load4<kAligned>(x, g, i, n);
    for (int j = 0; j < 4; ++j) sum += static_cast<double>(x[j]) * static_cast<double>(x[j]);
  }
  sum = block_sum(sum, partial);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// eq. (1) and (2), one block
__global__ void norm_and_scale(DeviceSpan<double> norm, DeviceSpan<float> scale,
                               DeviceSpan<const double> sums, int64_t stretches, double clip) {
  __shared__ double partial[kThreads / kWarp];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < stretches; i += kThreads) sum += sums[i];
  sum = block_sum(sum, partial);
  if (threadIdx.x != 0) return;
  norm[0] = sqrt(sum);
  scale[0] = clip_scale(norm[0], clip, scale[0]);
}

}  // namespace

void grad_norm(Tensor& norm, Tensor& scale, const Tensor& grads, double clip, Stream stream) {
  const int64_t n = grad_norm_size(norm, scale, grads), least = (n + kMaxStretches - 1) / kMaxStretches;
  const int64_t stretch = least < 4 * kThreads ? 4 * kThreads : (least + 3) / 4 * 4;  // a multiple of 4
  const int64_t stretches = (n + stretch - 1) / stretch;
  Tensor memory = temporary({stretches}, DType::float64, stream);
  const DeviceSpan<double> sums = span<double>(memory);
  if (n > 0)
    with_alignment(aligned16(grads), [&](auto aligned) {
      launch(stream, square_sums<decltype(aligned)::value>, blocks_for(stretches, 1), kThreads, 0, sums,
             span<float>(grads), n, stretch);
    });
  launch(stream, norm_and_scale, 1, kThreads, 0, span<double>(norm), span<float>(scale), part(sums, 0),
         stretches, clip);
}

}  // namespace gmail::cuda
