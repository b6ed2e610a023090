// gmail demo: the whole method on the built-in world, from f_r to the table.
#include <chrono>
#include <iostream>

#include "cli/commands.h"
#include "cli/demo.h"
#include "cli/train_flags.h"
#include "core/build_info.h"
#include "data/tabletop.h"
#include "io/files.h"
#include "io/json.h"
#include "train/progress.h"

#include <sys/resource.h>

namespace gmail::cli {
namespace {

struct Options {
  std::string out = "runs/demo", weights = "data/tabletop";
  bool quick = false, from_scratch = false, weights_only = false, cuda_graph = false;
};

// Runs one stage and notes its time (added to that of an earlier, interrupted run of it).
template <class F>
auto timed(DemoRun& run, const std::string& stage, F&& f) {
  const auto start = std::chrono::steady_clock::now();
  std::cout << "\n== " << stage << std::endl;
  struct Note {
    DemoRun& run;
    const std::string& stage;
    std::chrono::steady_clock::time_point start;
    ~Note() {
      const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      run.seconds[stage] = s;
      std::cout << "   " << duration_text(s) << std::endl;
    }
  } const note{run, stage, start};
  return f();
}

double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

bool has_weights(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "clip" / "config.json") &&
         std::filesystem::exists(folder / "generator" / "unet" / "config.json");
}

// where `cmake --install` puts them: <prefix>/share/gmail/tabletop beside <prefix>/bin/gmail
std::filesystem::path installed_weights() {
  return std::filesystem::canonical("/proc/self/exe").parent_path().parent_path() / "share" / "gmail" /
         "tabletop";
}

void setup(Command& c, Options& o) {
  c.option("out", o.out, "folder of the run");
  c.option("weights", o.weights, "folder with the pretrained f_r (clip/) and generator (generator/)");
  c.flag("quick", o.quick, "everything from nothing at a tiny size, in two minutes");
  c.flag("from-scratch", o.from_scratch, "everything from nothing at the full size");
  c.flag("cuda-graph", o.cuda_graph, "on a GPU: record the steps of every stage once, launch each as one");
  c.flag("weights-only", o.weights_only, "stop after f_r and the generator");
}

void run(Command& c, Options& o) {
  GMAIL_INPUT(!(o.quick && o.from_scratch), "--quick and --from-scratch exclude each other");
  const bool scratch = o.quick || o.from_scratch;
  if (!scratch && !has_weights(o.weights) && has_weights(installed_weights()))
    o.weights = installed_weights().string();
  DemoRun demo{c.ctx(),         o.quick ? quick_recipe() : full_recipe(),
               o.out,           scratch ? "" : o.weights,
               c.common().seed, c.command_line()};
  demo.recipe.cuda_graph = o.cuda_graph;
  GMAIL_INPUT(
      scratch || has_weights(o.weights), o.weights,
      ": no pretrained weights (clip/config.json); run in the project's folder, name them with --weights, or "
      "train everything with --from-scratch");
  make_dirs(o.out);
  write_json(std::filesystem::path(o.out) / "options.json", options_record(c));
  timed(demo, "world", [&] { make_world(demo); });
  const auto clip = timed(demo, "f_r", [&] { return clip_folder(demo); });
  const auto generator = timed(demo, "generator", [&] { return generator_folder(demo, clip); });
  if (o.weights_only) {
    std::cout << "weights: " << clip.string() << ", " << generator.string() << '\n';
    return;
  }
  timed(demo, "generate", [&] { draw_generated(demo, clip, generator); });
  timed(demo, "align", [&] { align_generated(demo, clip); });
  nlohmann::json results = judge_encoders(demo, clip);
  for (const Arm arm : kArms)
    timed(demo, "arm " + name_of(arm), [&] { results["arms"][name_of(arm)] = run_arm(demo, arm, clip); });
  results["seconds"] = demo.seconds;
  results["peak_rss_mib"] = peak_rss_mib();
  results["seed"] = demo.seed;
  results["commit"] = build_info().commit;
  report_demo(demo, results);
}

}  // namespace

void add_demo(Program& program) {
  program.add<Options>(program.app, "demo", "the whole method on the built-in world, with a table at the end",
                       setup, run);
}

}  // namespace gmail::cli
