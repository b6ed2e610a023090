#include "cli/bench_timing.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>

#include "core/check.h"
#include "core/parallel_for.h"

namespace gmail::cli {
namespace {

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Ticks {
  double stolen = 0, all = 0;
};
// first line of /proc/stat: user nice system idle iowait irq softirq steal ... (0 without such a file)
Ticks ticks() {
  std::ifstream file("/proc/stat");
  std::string word;
  Ticks t;
  file >> word;
  double value = 0;
  for (int column = 0; column < 8 && file >> value; ++column) {
    t.all += value;
    if (column == 7) t.stolen = value;
  }
  return t;
}

}  // namespace

double median(std::vector<double> v) {
  GMAIL_CHECK(!v.empty(), "[bench] no repeats");
  std::sort(v.begin(), v.end());
  return (v[(v.size() - 1) / 2] + v[v.size() / 2]) / 2;
}

double Timing::median_ms() const { return median(ms); }
double Timing::min_ms() const { return *std::min_element(ms.begin(), ms.end()); }

nlohmann::ordered_json Timing::to_json() const {
  return {{"name", name},
          {"ms", ms},
          {"median_ms", median_ms()},
          {"min_ms", min_ms()},
          {"cpu_ms", median(cpu_ms)},
          {"items", items},
          {"unit", unit},
          {"items_per_s", items / median_ms() * 1e3},
          {"gflop", flop * 1e-9},
          {"gflops", gflops()},
          {"fma_peak_gflops", peak},
          {"share_of_peak", gflops() / peak},
          {"best_share_of_peak", flop / min_ms() * 1e-6 / peak},
          {"steal", steal},
          {"threads", num_threads()},
          {"warmup", warmup}};
}

Timing measure(const Workload& w, const TimingOptions& o) {
  constexpr int64_t kEnough = 30, kLeast = 3;
  Timing t{w.name, w.unit, w.items, w.flop, 0, {}, {}, 0, 0};
  const bool automatic = o.repeats == 0;
  const double begin = wall_seconds();
  while (t.warmup < o.warmup && !(automatic && t.warmup > 0 && wall_seconds() - begin > o.seconds)) {
    w.step();
    ++t.warmup;
  }
  const Ticks before = ticks();
  const double first = wall_seconds();
  const auto done = [&] {
    const auto n = static_cast<int64_t>(t.ms.size());
    if (!automatic) return n >= o.repeats;
    return n >= kLeast && (n >= kEnough || wall_seconds() - first > o.seconds);
  };
  while (!done()) {
    const double wall = wall_seconds(), cpu = cpu_seconds();
    w.step();
    t.ms.push_back(1e3 * (wall_seconds() - wall));
    t.cpu_ms.push_back(1e3 * (cpu_seconds() - cpu));
  }
  const Ticks after = ticks();
  t.steal = (after.stolen - before.stolen) / std::max(after.all - before.all, 1.0);
  return t;
}

std::string table_head() {
  char line[160];
  std::snprintf(line, sizeof line, "%-28s %9s %9s %9s %16s %9s %9s %7s %6s\n", "workload", "ms", "min ms",
                "CPU ms", "per second", "GFLOP", "GFLOP/s", "of peak", "steal");
  return line;
}

std::string table_line(const Timing& t) {
  char rate[32], line[200];
  std::snprintf(rate, sizeof rate, "%.1f %s", t.items / t.median_ms() * 1e3, t.unit.c_str());
  std::snprintf(line, sizeof line, "%-28s %9.2f %9.2f %9.2f %16s %9.3f %9.1f %6.1f%% %5.1f%%\n",
                t.name.c_str(), t.median_ms(), t.min_ms(), median(t.cpu_ms), rate, t.flop * 1e-9, t.gflops(),
                100 * t.gflops() / t.peak, 100 * t.steal);
  return line;
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

}  // namespace gmail::cli
