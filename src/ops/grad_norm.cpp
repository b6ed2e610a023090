#include "ops/grad_norm.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "core/parallel_for.h"
#include "ops/simd.h"

namespace gmail {

int64_t grad_norm_size(const Tensor& norm, const Tensor& scale, const Tensor& grads) {
  GMAIL_CHECK(norm.numel() == 1 && scale.numel() == 1, "[grad_norm] norm ", norm.shape(), ", scale ",
              scale.shape(), ": expected one element");
  GMAIL_CHECK(
      norm.dtype() == DType::float64 && scale.dtype() == DType::float32 && grads.dtype() == DType::float32,
      "[grad_norm] expected float64, float32 and float32, got ", name_of(norm.dtype()), ", ",
      name_of(scale.dtype()), " and ", name_of(grads.dtype()));
  return grads.numel();
}

namespace cpu {

void grad_norm(Tensor& norm, Tensor& scale, const Tensor& grads, double clip) {
  constexpr int64_t kGrain = 1 << 14;
  const int64_t n = grad_norm_size(norm, scale, grads);
  std::vector<double> sums(static_cast<size_t>((n + kGrain - 1) / kGrain), 0.0);
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    double sum = 0;
    const float* g = grads.data<float>();
    GMAIL_SIMD_SUM(sum)
    for (int64_t i = begin; i < end; ++i) sum += static_cast<double>(g[i]) * static_cast<double>(g[i]);
    sums[static_cast<size_t>(begin / kGrain)] = sum;
  });
  *norm.data<double>() = std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));     // (1)
  *scale.data<float>() = clip_scale(*norm.data<double>(), clip, *scale.data<float>());  // (2)
}

}  // namespace cpu
}  // namespace gmail
