// Timing for `gmail bench`: repeats of a workload, what they cost, and how that compares with the
// processor's peak.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace gmail::cli {

// One thing to time. `step` does the work once; what it does is `items` of `unit` and `flop` operations
// (models/flops.h).
struct Workload {
  std::string name, unit;
  double items = 1, flop = 0;
  std::function<void()> step;
};

struct TimingOptions {
  int64_t warmup = 5;
  int64_t repeats = 0;  // 0: until there are 30 or `seconds` have passed, at least 3
  double seconds = 3;
};

struct Timing {
  std::string name, unit;
  double items = 1, flop = 0;
  int64_t warmup = 0;
  std::vector<double> ms;      // wall clock, one for each repeat
  std::vector<double> cpu_ms;  // processor time of all threads
  double peak = 0;             // GFLOP/s of fused multiply-adds on the same number of threads
  double steal = 0;            // share of all processor time that the hypervisor took meanwhile

  [[nodiscard]] double median_ms() const;
  [[nodiscard]] double min_ms() const;
  [[nodiscard]] double gflops() const { return flop / median_ms() * 1e-6; }
  // {"name", "ms": [..], "median_ms", "min_ms", "cpu_ms" (median), "items", "unit", "items_per_s", "gflop",
  //  "gflops", "fma_peak_gflops", "share_of_peak" (median), "best_share_of_peak" (fastest), "steal",
  //  "threads", "warmup"}
  [[nodiscard]] nlohmann::ordered_json to_json() const;
};

[[nodiscard]] double median(std::vector<double> values);

// Without the peak. With few seconds asked for, the warm-up is cut short as well.
[[nodiscard]] Timing measure(const Workload& workload, const TimingOptions& options);

// The table's head, and a line of it.
[[nodiscard]] std::string table_head();
[[nodiscard]] std::string table_line(const Timing& timing);

[[nodiscard]] std::string cpu_model();

}  // namespace gmail::cli
