#include "ops/gemm_bench.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/parallel_for.h"
#include "ops/gemm_select.h"

namespace gmail {

double measure_fma_peak(int threads) {
  constexpr int64_t kRounds = 4'000'000;  // 20 to 50 ms
  const auto& kernels = cpu::gemm_kernels<float>();
  const int before = num_threads();
  set_num_threads(threads);
  double best = 0;
  for (int repeat = 0; repeat < 6; ++repeat) {
    std::vector<double> operations(static_cast<size_t>(threads));
    const auto start = std::chrono::steady_clock::now();
    parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) operations[static_cast<size_t>(i)] = kernels.fma_peak(kRounds);
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    double sum = 0;
    for (const double v : operations) sum += v;
    best = std::max(best, sum / seconds.count() * 1e-9);
  }
  set_num_threads(before);
  return best;
}

}  // namespace gmail
