// gmail bench cpu: how fast this machine does the project's work, held against what its processor can do at
// most.
#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <sstream>

#include "cli/bench_gpu.h"
#include "cli/bench_tiny_vit.h"
#include "cli/bench_workloads.h"
#include "cli/commands.h"
#include "core/build_info.h"
#include "core/parallel_for.h"
#include "io/files.h"
#include "io/json.h"
#include "ops/gemm.h"
#include "ops/gemm_bench.h"

namespace gmail::cli {

const std::vector<std::string>& workload_names() {
  static const std::vector<std::string> names{"C1", "C2",     "C3",        "C4",
                                              "C5", "resize", "clip-step", "generator-step"};
  return names;
}

namespace {

std::vector<MakeWorkload> products(uint64_t seed) {
  std::vector<MakeWorkload> all;
  for (const auto& [m, n, k] : std::vector<std::array<int64_t, 3>>{{50, 768, 768},
                                                                   {50, 3072, 768},
                                                                   {50, 768, 3072},
                                                                   {197, 768, 768},
                                                                   {197, 3072, 768},
                                                                   {197, 768, 3072},
                                                                   {1600, 3072, 768},
                                                                   {6304, 3072, 768},
                                                                   {257, 4096, 1024},
                                                                   {2080, 768, 192}})
    for (const bool packed : {false, true})
      all.emplace_back([=] { return matrix_product(seed, m, n, k, packed); });
  return all;
}

}  // namespace

std::vector<MakeWorkload> make_workloads(const std::string& name, const Context& ctx, uint64_t seed) {
  if (name == "C1")
    return {[&ctx, seed] { return image_encode(ctx, seed, 1); },
            [&ctx, seed] { return image_encode(ctx, seed, 32); }};
  if (name == "C2")
    return {[&ctx, seed] { return text_encode(ctx, seed, 1); },
            [&ctx, seed] { return text_encode(ctx, seed, 32); }};
  if (name == "C3") return {[&ctx, seed] { return tiny_vit_step(ctx, seed); }};
  if (name == "C4")
    return {[&ctx, seed] { return caption_decode(ctx, seed, gpt2_small(), 1, 1, 20); },
            [&ctx, seed] { return caption_decode(ctx, seed, gpt2_small(), 1, 5, 20); }};
  if (name == "C5") return products(seed);
  if (name == "resize")
    return {[seed] { return image_resize(seed, true); }, [seed] { return image_resize(seed, false); }};
  if (name == "clip-step") return {[&ctx, seed] { return clip_step(ctx, seed); }};
  GMAIL_CHECK(name == "generator-step", "[bench] unknown workload ", name);
  return {[&ctx, seed] { return generator_step(ctx, seed); }};
}

std::string list_of(const std::vector<std::string>& names, const std::string& between) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : between) + name;
  return list;
}

std::vector<std::string> chosen(const std::string& list, const std::vector<std::string>& known) {
  if (list == "all") return known;
  std::vector<std::string> names;
  std::stringstream parts(list);
  for (std::string name; std::getline(parts, name, ',');) {
    GMAIL_INPUT(std::find(known.begin(), known.end(), name) != known.end(), "--workload: expected ",
                list_of(known, ", "), " or all, found \"", name, "\"");
    names.push_back(name);
  }
  GMAIL_INPUT(!names.empty(), "--workload: expected at least one name");
  return names;
}

namespace {

struct Options {
  std::string workload = "all", out, state;
  TimingOptions timing;
  bool quick = false, json = false;
};

void setup(Command& c, Options& o) {
  c.option("workload", o.workload, list_of(workload_names(), " | ") + " | all; several with commas");
  c.option("warmup", o.timing.warmup, "runs before the timed ones");
  c.option("repeats", o.timing.repeats,
           "timed runs; 0 = until there are 30 or --seconds have passed, at least 3");
  c.option("seconds", o.timing.seconds, "time for a workload, without its warm-up");
  c.flag("quick", o.quick, "one run to warm up, a third of a second for a workload");
  c.flag("json", o.json, "a JSON object a line instead of the table");
  c.option("out", o.out, "JSON file for the results, the machine and the build");
  c.option("state", o.state, "C3: write weights, inputs and the first losses to this file and time nothing");
}

TimingOptions timing_options(const Options& o) {
  GMAIL_INPUT(o.timing.warmup >= 0, "--warmup: expected 0 or more, found ", o.timing.warmup);
  GMAIL_INPUT(o.timing.repeats >= 0, "--repeats: expected 0 or more, found ", o.timing.repeats);
  GMAIL_INPUT(o.timing.seconds > 0, "--seconds: expected more than 0, found ", o.timing.seconds);
  TimingOptions timing = o.timing;
  if (o.quick) timing.warmup = 1, timing.seconds = 0.3;
  return timing;
}

void run(Command& c, Options& o) {
  const std::vector<std::string> names = chosen(o.workload, workload_names());
  const TimingOptions timing = timing_options(o);
  const Context ctx;  // the CPU's, whatever else there is
  if (!o.state.empty()) {
    GMAIL_INPUT(o.workload == "C3", "--state: only for --workload C3, found ", o.workload);
    return TinyVit(ctx, c.common().seed).write_state(o.state, 5);
  }
  make_parent_dirs(o.out);
  double peak = measure_fma_peak(num_threads());
  if (!o.json)
    std::cout << cpu_model() << ", " << num_threads() << " threads, products: " << gemm_backend() << '\n'
              << table_head() << std::flush;
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const std::string& name : names)
    for (const MakeWorkload& make : make_workloads(name, ctx, c.common().seed)) {
      Timing t = measure(make(), timing);
      ctx.arena->release_cache();
      peak = std::max(peak, measure_fma_peak(num_threads()));  // the best of all: shares are never flattered
      t.peak = peak;
      all.push_back(t.to_json());
      if (o.json) {
        std::cout << all.back().dump() << std::endl;
      } else {
        std::cout << table_line(t) << std::flush;
      }
    }
  if (!o.json) std::printf("FMA peak of %d threads: %.1f GFLOP/s\n", num_threads(), peak);
  if (o.out.empty()) return;
  const BuildInfo build = build_info();
  write_json(o.out, {{"command", c.command_line()},
                     {"cpu", cpu_model()},
                     {"threads", num_threads()},
                     {"products", gemm_backend()},
                     {"fma_peak_gflops", peak},
                     {"version", build.version},
                     {"commit", build.commit},
                     {"compiler", build.compiler},
                     {"flags", build.flags},
                     {"workloads", all}});
}

}  // namespace

void add_bench(Program& program) {
  CLI::App& group = program.group("bench", "time the project's work on this machine");
  program.add<Options>(group, "cpu", "CLIP, GPT-2, training steps and matrix products on the CPU", setup,
                       run);
  add_bench_gpu(program, group);
}

}  // namespace gmail::cli
