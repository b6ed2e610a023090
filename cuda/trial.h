// What a timed trial of an algorithm needs: operands of its own, and a comparison of what two of them gave.
#pragma once

#include "core/tensor.h"

namespace gmail::cuda {

// uniform in [-1, 1), element i depends on (seed, i) alone
void fill_uniform(Tensor& t, uint64_t seed, Stream stream);

// Waits for the stream. NaN equals the same NaN.
[[nodiscard]] bool equal_bits(const Tensor& a, const Tensor& b, Stream stream);

}  // namespace gmail::cuda
