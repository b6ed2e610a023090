// gmail bench gpu: how fast the GPU does the project's work, held against the largest matrix product of the
// same run.
#include "cli/bench_gpu.h"

#include <iostream>

#include "cli/bench_gpu_timing.h"
#include "cli/bench_workloads.h"
#include "core/build_info.h"
#include "core/device_memory.h"
#include "core/device_timer.h"
#include "io/files.h"
#include "io/json.h"

namespace gmail::cli {
namespace {

struct Options {
  std::string workload = "all", out, state;
  GpuTimingOptions timing;
  int64_t batch = 0;
  bool graph = false, quick = false, tiny = false, json = false;
};

void setup(Command& c, Options& o) {
  c.preset("device", "cuda");
  c.preset("precision", "bf16");
  c.option(
      "workload", o.workload,
      list_of(gpu_workload_names(), " | ") + " | all | none (copy and matmul alone); several with commas");
  c.option("batch", o.batch, "pairs, images or captions of a step, instead of the usual ones");
  c.flag("cuda-graph", o.graph, "time the steps that a CUDA graph can record once more, as a graph");
  c.option("warmup", o.timing.warmup, "steps before the timed ones");
  c.option("rounds", o.timing.rounds, "timed rounds; the result is their median");
  c.option("steps", o.timing.steps, "steps of a round");
  c.option("seconds", o.timing.seconds, "time for a workload; a long one takes fewer repeats and says so");
  c.flag("quick", o.quick, "3 steps to warm up, 3 rounds of 5, 5 seconds");
  c.flag("tiny", o.tiny, "models of a few numbers, to try the command itself; the times mean nothing");
  c.flag("json", o.json, "a JSON object a line instead of the table");
  c.option("out", o.out, "JSON file for the results, the device and the build");
  c.option("state", o.state,
           "one align-* workload: write weights, images, embeddings and first losses, and time nothing");
}

GpuTimingOptions timing_options(const Options& o) {
  GMAIL_INPUT(o.timing.warmup >= 0, "--warmup: expected 0 or more, found ", o.timing.warmup);
  GMAIL_INPUT(o.timing.rounds > 0, "--rounds: expected 1 or more, found ", o.timing.rounds);
  GMAIL_INPUT(o.timing.steps > 0, "--steps: expected 1 or more, found ", o.timing.steps);
  GMAIL_INPUT(o.timing.seconds > 0, "--seconds: expected more than 0, found ", o.timing.seconds);
  return o.quick ? GpuTimingOptions{3, 3, 5, 5} : o.timing;
}

GpuBench bench_of(const Command& c, const Options& o) {
  const std::string why = why_not_cuda_by_default();  // with a device: that it is an emulator
  GMAIL_INPUT(c.ctx().device == Device::cuda, "bench gpu needs a CUDA device: --device ", c.common().device,
              why.empty() ? "" : ": ", why);
  GMAIL_INPUT(why.empty() || o.tiny, "bench gpu: ", why, ": only --tiny");
  GMAIL_INPUT(o.batch >= 0, "--batch: expected 0 or more, found ", o.batch);
  GpuBench bench{c.ctx(), o.tiny ? tiny_gpu_sizes() : gpu_sizes(), c.common().seed};
  if (o.batch > 0) set_batch(bench.sizes, o.batch);
  return bench;
}

// Runs the workloads one by one and shows each result as it comes.
class Run {
 public:
  Run(const GpuBench& bench, const Options& options)
      : bench_(bench), o_(options), timing_(timing_options(options)) {}

  void add(const std::string& name) {
    for (const MakeGpuWorkload& make : make_gpu_workloads(name, bench_)) {
      begin_memory_peak(bench_.ctx);
      const GpuWorkload workload = make();
      time(workload, false);
      if (!o_.graph || !workload.recorded) continue;
      begin_memory_peak(bench_.ctx);
      time(workload, true);
    }
  }
  [[nodiscard]] const nlohmann::ordered_json& results() const { return results_; }
  [[nodiscard]] double matmul() const { return matmul_; }

 private:
  void time(const GpuWorkload& workload, bool recorded) {
    GpuTiming t = measure(bench_.ctx, workload, recorded, timing_);
    if (workload.name.starts_with("matmul")) matmul_ = t.tflops();
    t.ceiling = matmul_;
    results_.push_back(t.to_json());
    if (o_.json)
      std::cout << results_.back().dump() << std::endl;
    else
      std::cout << gpu_table_line(t) << std::flush;
  }
  const GpuBench& bench_;
  const Options& o_;
  GpuTimingOptions timing_;
  double matmul_ = 0;
  nlohmann::ordered_json results_ = nlohmann::ordered_json::array();
};

void run(Command& c, Options& o) {
  const std::vector<std::string> names =
      o.workload == "none" ? std::vector<std::string>{} : chosen(o.workload, gpu_workload_names());
  const GpuBench bench = bench_of(c, o);
  if (!o.state.empty()) {
    GMAIL_INPUT(names.size() == 1 && names[0].starts_with("align-"),
                "--state: only for one --workload align-*, found ", o.workload);
    make_parent_dirs(o.state);
    return write_align_state(bench, names[0], o.state, 5);
  }
  make_parent_dirs(o.out);
  Run all(bench, o);
  if (!o.json) std::cout << cuda_description() << ", " << c.common().precision << '\n' << gpu_table_head();
  for (const char* ceiling : {"matmul", "copy"}) all.add(ceiling);
  for (const std::string& name : names) all.add(name);
  if (o.out.empty()) return;
  const BuildInfo build = build_info();
  write_json(o.out, {{"command", c.command_line()},
                     {"device", cuda_description()},
                     {"precision", c.common().precision},
                     {"seed", c.common().seed},
                     {"tiny", o.tiny},
                     {"matmul_tflops", all.matmul()},
                     {"version", build.version},
                     {"commit", build.commit},
                     {"compiler", build.compiler},
                     {"flags", build.flags},
                     {"cuda", build.cuda},
                     {"workloads", all.results()}});
}

}  // namespace

void add_bench_gpu(Program& program, CLI::App& group) {
  program.add<Options>(group, "gpu", "CLIP, GPT-2, training steps, sampling and the ceilings on the GPU",
                       setup, run);
}

}  // namespace gmail::cli
