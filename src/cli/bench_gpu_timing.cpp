#include "cli/bench_gpu_timing.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "core/device_timer.h"

namespace gmail::cli {

nlohmann::ordered_json GpuTiming::to_json() const {
  return {{"name", name},
          {"cuda_graph", recorded},
          {"ms", ms},
          {"median_ms", median_ms()},
          {"min_ms", *std::min_element(ms.begin(), ms.end())},
          {"warmup", warmup},
          {"steps", steps},
          {"cut_short", cut},
          {"items", items},
          {"unit", unit},
          {"items_per_s", items / median_ms() * 1e3},
          {"tflop", flop * 1e-12},
          {"tflop_skipped", skipped * 1e-12},
          {"note", note},
          {"tflops", tflops()},
          {"share_of_matmul", tflops() / ceiling},
          {"gbytes_per_s", gbytes_per_s()},
          {"peak_mib", static_cast<double>(peak_bytes) / (1 << 20)}};
}

GpuTiming measure(const Context& ctx, const GpuWorkload& w, bool recorded, const GpuTimingOptions& o) {
  constexpr int64_t kLeastWarm = 3;  // the first allocates, the second is recorded
  const int64_t least_rounds = std::min<int64_t>(3, o.rounds);
  const std::function<void()>& step = recorded ? w.recorded : w.step;
  GpuTiming t;
  t.name = w.name, t.unit = w.unit, t.note = w.note, t.recorded = recorded;
  t.items = w.items, t.flop = w.flop, t.bytes = w.bytes, t.skipped = w.skipped;
  DeviceTimer timer(ctx);
  double spent = 0, fastest = std::numeric_limits<double>::infinity();  // milliseconds
  const double budget = 1e3 * o.seconds;
  while (t.warmup < o.warmup && (t.warmup < kLeastWarm || spent < budget / 4)) {
    timer.start();
    step();
    const double ms = timer.stop();
    spent += ms;
    fastest = std::min(fastest, ms);
    ++t.warmup;
  }
  const double room = std::max(0.0, budget - spent) / static_cast<double>(o.rounds) / std::max(fastest, 1e-6);
  t.steps = t.warmup == 0 || room >= static_cast<double>(o.steps)
                ? o.steps
                : std::max<int64_t>(1, static_cast<int64_t>(room));
  const auto done = [&] {
    const auto n = static_cast<int64_t>(t.ms.size());
    return n >= o.rounds || (n >= least_rounds && spent > budget);
  };
  while (!done()) {
    timer.start();
    for (int64_t k = 0; k < t.steps; ++k) step();
    const double ms = timer.stop();
    spent += ms;
    t.ms.push_back(ms / static_cast<double>(t.steps));
  }
  t.cut = t.warmup < o.warmup || t.steps < o.steps || std::ssize(t.ms) < o.rounds;
  t.peak_bytes = memory_peak();
  return t;
}

std::string gpu_table_head() {
  char line[200];
  std::snprintf(line, sizeof line, "%-28s %5s %10s %18s %9s %9s %9s %10s  %s\n", "workload", "graph", "ms",
                "per second", "TFLOP", "TFLOP/s", "of matmul", "peak MiB", "repeats");
  return line;
}

std::string gpu_table_line(const GpuTiming& t) {
  char rate[48], line[320];
  if (t.bytes > 0)
    std::snprintf(rate, sizeof rate, "%.1f GB", t.gbytes_per_s());
  else
    std::snprintf(rate, sizeof rate, "%.1f %s", t.items / t.median_ms() * 1e3, t.unit.c_str());
  std::snprintf(line, sizeof line, "%-28s %5s %10.3f %18s %9.3f %9.2f %8.1f%% %10.0f  %zu x %ld%s%s%s\n",
                t.name.c_str(), t.recorded ? "yes" : "", t.median_ms(), rate, t.flop * 1e-12, t.tflops(),
                100 * t.tflops() / t.ceiling, static_cast<double>(t.peak_bytes) / (1 << 20), t.ms.size(),
                t.steps, t.cut ? ", cut short by --seconds" : "", t.note.empty() ? "" : "; ", t.note.c_str());
  return line;
}

}  // namespace gmail::cli
