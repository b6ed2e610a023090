// gmail audit: a training step op by op, held against the CPU in float64.
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "gmail/audit_steps.h"
#include "io/files.h"
#include "io/json.h"
#include "report/audit_table.h"
#include "train/progress.h"

namespace gmail::cli {
namespace {

struct Options {
  std::string train, model, unet, out;
  AuditSizes sizes;
  bool all = false, quiet = false;
  int repeats = 3;
  double tolerance = 0;
  // as in `gmail align`
  std::vector<std::string> targets{"q_proj", "k_proj", "v_proj", "out_proj"};
  int64_t rank = 4;
  double alpha = 4, tau = 0.07;
  bool symmetric = false;
  std::string real_encoder = "frozen";
  // as in `gmail generator` and `gmail caption train`
  std::string prediction_type = "sample", schedule = "cosine";
  int64_t prefix_length = 10, width = 128, layers = 3;
  int heads = 4;
  bool raw_prefix = false;
};

void setup(Command& c, Options& o) {
  c.option("train", o.train, "the step: pretrain | align | generator | caption")
      ->required()
      ->one_of({"pretrain", "align", "generator", "caption"});
  c.option("model", o.model, "CLIP folder or its config.json; the weights are random")->required();
  c.option("unet", o.unet, "generator: the U-Net's config.json");
  c.option("batch", o.sizes.batch, "examples");
  c.option("tokens", o.sizes.tokens, "longest text");
  c.flag("all", o.all, "a line for each op of the tape, not for equal ops together");
  c.option("repeats", o.repeats, "timed runs of each op, of which the fastest counts");
  c.option("tolerance", o.tolerance, "of an op alone; 0 = 1e-5 in fp32 (2e-3 with TF32), 2e-2 in bf16");
  c.option("out", o.out, "JSON file for the result");
  c.flag("quiet", o.quiet, "no progress");
  c.option("lora-rank", o.rank, "align: rank of the updates");
  c.option("lora-alpha", o.alpha, "align: the update is scaled by alpha / rank");
  c.option("lora-targets", o.targets, "align: names of the linear layers that get LoRA");
  c.option("tau", o.tau, "align: temperature of eq. (1)");
  c.flag("align-symmetric", o.symmetric, "align: adds the real -> generated direction");
  c.option("real-encoder", o.real_encoder, "align: frozen | lora")->one_of({"frozen", "lora"});
  c.option("prediction-type", o.prediction_type, "generator: epsilon | v_prediction | sample");
  c.option("noise-schedule", o.schedule, "generator: cosine | scaled_linear");
  c.option("prefix-length", o.prefix_length, "caption: vectors that an image becomes");
  c.option("width", o.width, "caption: width of the language model");
  c.option("layers", o.layers, "caption: its blocks");
  c.option("heads", o.heads, "caption: its attention heads");
  c.flag("raw-prefix", o.raw_prefix, "caption: use embeddings as they are, not divided by their norm");
}

ClipConfig clip_config(const std::string& path) {
  std::filesystem::path file = path;
  if (std::filesystem::is_directory(file)) file /= "config.json";
  return ClipConfig::from_json(read_json(file), file.string());
}

AuditStep make_step(const Options& o) {
  const ClipConfig clip = clip_config(o.model);
  if (o.train == "pretrain") return pretrain_audit(clip, o.sizes);
  if (o.train == "align") {
    const auto real = o.real_encoder == "lora" ? RealEncoder::lora : RealEncoder::frozen;
    return align_audit(clip, {{o.rank, o.alpha, o.targets, real}, o.tau, o.symmetric}, o.sizes);
  }
  if (o.train == "generator") {
    GMAIL_INPUT(!o.unet.empty(), "--unet is required for --train generator (gmail audit --help)");
    DiffusionConfig diffusion;
    diffusion.schedule = noise_schedule_of(o.schedule, "--noise-schedule");
    diffusion.prediction = prediction_of(o.prediction_type, "--prediction-type");
    return generator_audit(clip, UnetConfig::from_json(read_json(o.unet), o.unet), diffusion, o.sizes);
  }
  ClipCapConfig c;
  c.clip_dim = clip.projection_dim;
  c.prefix_length = o.prefix_length;
  c.normalize_prefix = !o.raw_prefix;
  c.end_id = static_cast<int32_t>(clip.vocab_size - 1);
  c.gpt = {.vocab_size = clip.vocab_size,
           .n_positions = o.prefix_length + o.sizes.tokens,
           .n_embd = o.width,
           .n_layer = o.layers,
           .n_head = o.heads};
  return caption_audit(c, o.sizes);
}

void run(Command& c, Options& o) {
  GMAIL_INPUT(o.repeats >= 1, "--repeats: expected at least 1, found ", o.repeats);
  GMAIL_INPUT(o.tolerance >= 0, "--tolerance: expected 0 or more, found ", o.tolerance);
  for (const auto& [name, value] : {std::pair("--prefix-length", o.prefix_length),
                                    {"--width", o.width},
                                    {"--layers", o.layers},
                                    {"--heads", int64_t{o.heads}}})
    GMAIL_INPUT(value >= 1, name, ": expected at least 1, found ", value);
  o.sizes.seed = c.common().seed;
  make_parent_dirs(o.out);
  AuditOptions options{.all = o.all, .repeats = o.repeats, .tolerance = o.tolerance};
  std::optional<Progress> progress;
  options.progress = [&](int64_t done, int64_t ops) {
    if (!progress) progress.emplace("audit", ops, 0, o.quiet);
    progress->update(done);
  };
  const AuditReport report = audit(
      c.ctx(), [&] { return make_step(o); }, options);
  progress.reset();
  std::cout << audit_table(report);
  if (!o.out.empty()) write_atomically(o.out, audit_json(report).dump(2) + "\n");
  GMAIL_CHECK(report.failures() == 0, "audit: ", report.failures(), " outside the tolerance");
}

}  // namespace

void add_audit(Program& program) {
  program.add<Options>(program.app, "audit",
                       "a training step op by op against the CPU in float64: equations, work, time, errors",
                       setup, run);
}

}  // namespace gmail::cli
