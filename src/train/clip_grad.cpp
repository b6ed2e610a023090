#include "train/clip_grad.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "core/parallel_for.h"
#include "ops/simd.h"

namespace gmail {

double global_norm(std::span<const float> grads) {
  constexpr int64_t kGrain = 1 << 14;
  const auto n = static_cast<int64_t>(grads.size());
  std::vector<double> sums(static_cast<size_t>((n + kGrain - 1) / kGrain), 0.0);
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    double sum = 0;
    const float* g = grads.data();
    GMAIL_SIMD_SUM(sum)
    for (int64_t i = begin; i < end; ++i) sum += static_cast<double>(g[i]) * static_cast<double>(g[i]);
    sums[static_cast<size_t>(begin / kGrain)] = sum;
  });
  return std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
}

double clip_factor(double norm, double clip) { return clip > 0 ? std::min(1.0, clip / (norm + 1e-6)) : 1.0; }

}  // namespace gmail
