// Weighted mean squared error (the diffusion loss; the weight is that of the time step). prediction and
// target (B, ...) with D elements for each b, weight (B) optional, 1 if absent:
//   (1)  L = 1/B sum_b weight_b 1/D sum_d (prediction_bd - target_bd)^2
//   (2)  dprediction_bd = dL weight_b 2 / (B D) (prediction_bd - target_bd)
#pragma once

#include "ops/grad.h"

namespace gmail {

struct MseSizes {
  int64_t B, D;
};
[[nodiscard]] MseSizes weighted_mse_sizes(const Tensor& prediction, const Tensor& target,
                                          const Tensor& weight);  // checks them

namespace cpu {

void weighted_mse_forward(Tensor& loss, const Tensor& prediction, const Tensor& target, const Tensor& weight);
void weighted_mse_backward(Grad dprediction, const Tensor& dloss, const Tensor& prediction,
                           const Tensor& target, const Tensor& weight);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/mse.cu
void weighted_mse_forward(Tensor& loss, const Tensor& prediction, const Tensor& target, const Tensor& weight,
                          Stream stream);
void weighted_mse_backward(Grad dprediction, const Tensor& dloss, const Tensor& prediction,
                           const Tensor& target, const Tensor& weight, Stream stream);
}  // namespace cuda
}  // namespace gmail
