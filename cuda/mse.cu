#include "ops/mse.h"

#include "total.cuh"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

// eq. (1): the terms, without 1 / (B D)
template <class T>
struct Square {
  DeviceSpan<const T> prediction, target;
  DeviceSpan<const float> weight;
  int64_t D;
  __device__ float operator()(int64_t i) const {
    const float d = load(prediction[i]) - load(target[i]);
    return (weight ? weight[i / D] : 1.0F) * d * d;
  }
};

// eq. (2)
template <class T>
__global__ void backward_kernel(GradSpan<T> dp, DeviceSpan<const float> dloss, DeviceSpan<const T> prediction,
                                DeviceSpan<const T> target, DeviceSpan<const float> weight, int64_t B,
                                int64_t D) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= B * D) return;
  const float factor = dloss[0] * (weight ? weight[i / D] : 1.0F) * 2 / static_cast<float>(B * D);
  dp.put(i, factor * (load(prediction[i]) - load(target[i])));
}

}  // namespace

void weighted_mse_forward(Tensor& loss, const Tensor& prediction, const Tensor& target, const Tensor& weight,
                          Stream stream) {
  const auto [B, D] = weighted_mse_sizes(prediction, target, weight);
  with_device_type(prediction.dtype(), [&, B = B, D = D](auto zero) {
    using T = decltype(zero);
    total(GradSpan<float>{span<float>(loss)},
          Square<T>{span<T>(prediction), span<T>(target), span<float>(weight), D}, B * D,
          1 / static_cast<float>(B * D), stream);
  });
}

void weighted_mse_backward(Grad dprediction, const Tensor& dloss, const Tensor& prediction,
                           const Tensor& target, const Tensor& weight, Stream stream) {
  if (!dprediction) return;
  const auto [B, D] = weighted_mse_sizes(prediction, target, weight);
  with_device_type(prediction.dtype(), [&, B = B, D = D](auto zero) {
    using T = decltype(zero);
    launch(stream, backward_kernel<T>, blocks_for(B * D, kThreads), kThreads, 0, grad<T>(dprediction),
           span<float>(dloss), span<T>(prediction), span<T>(target), span<float>(weight), B, D);
  });
}

}  // namespace gmail::cuda
