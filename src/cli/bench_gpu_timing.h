// Timing for `gmail bench gpu`, by the clock of the device's stream.
#pragma once

#include "cli/bench_gpu.h"

namespace gmail::cli {

struct GpuTimingOptions {
  int64_t warmup = 20, rounds = 5, steps = 50;  // steps of a round; a round counts with its mean
  double seconds = 60;                          // for a workload; a long one gets fewer repeats
};

struct GpuTiming {
  std::string name, unit, note;
  bool recorded = false;  // as a CUDA graph
  double items = 1, flop = 0, bytes = 0, skipped = 0;
  int64_t warmup = 0, steps = 0;
  bool cut = false;        // fewer warm-ups, rounds or steps than asked for
  std::vector<double> ms;  // of a step, one for each round
  size_t peak_bytes = 0;   // of device memory, with weights and inputs
  double ceiling = 0;      // TFLOP/s of the largest product of this run

  [[nodiscard]] double median_ms() const { return median(ms); }
  [[nodiscard]] double tflops() const { return flop / median_ms() * 1e-9; }
  [[nodiscard]] double gbytes_per_s() const { return bytes / median_ms() * 1e-6; }
  [[nodiscard]] nlohmann::ordered_json to_json() const;
};

// `memory_peak` began before the workload was set up. Without the ceiling.
[[nodiscard]] GpuTiming measure(const Context& ctx, const GpuWorkload& workload, bool recorded,
                                const GpuTimingOptions& options);

[[nodiscard]] std::string gpu_table_head();
[[nodiscard]] std::string gpu_table_line(const GpuTiming& timing);

}  // namespace gmail::cli
