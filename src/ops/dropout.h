// Dropout (Srivastava et al. 2014): y = x m / (1 - p), m_i = [u_i >= p]; u_i, uniform, is what
// Philox(seed, dropout, step, index) draws for element i. The mask is drawn again in backward, never stored.
#pragma once

#include "ops/grad.h"

namespace gmail {
struct DropoutKey {
  uint64_t seed = 0, step = 0, index = 0;  // index: a different number for each dropout of a model
};
[[nodiscard]] uint32_t dropout_threshold(double p);  // words below it are dropped; throws unless 0 <= p < 1
namespace cpu {
void dropout_forward(Tensor& y, const Tensor& x, double p, const DropoutKey& key);
void dropout_backward(Grad dx, const Tensor& dy, double p, const DropoutKey& key);
}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/dropout.cu
void dropout_forward(Tensor& y, const Tensor& x, double p, const DropoutKey& key, Stream stream);
void dropout_backward(Grad dx, const Tensor& dy, double p, const DropoutKey& key, Stream stream);
}  // namespace cuda
}  // namespace gmail
