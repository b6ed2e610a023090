#include "cli/demo.h"
#include "data/tabletop.h"
#include "train/progress.h"

namespace gmail::cli {
namespace {

// Seeds of the worlds: scenes of one are never scenes of another.
enum World : uint64_t { kPhoto = 1, kPretrain = 2, kStudio = 3, kSingles = 4, kJudged = 5 };

void write_world(DemoRun& run, const std::string& name, World world, Look look, int max_solids,
                 const std::vector<TabletopSplit>& splits) {
  TabletopOptions o;
  o.size = run.recipe.size;
  o.seed = run.seed * 16 + world;
  o.look = look;
  o.min_solids = 1;
  o.max_solids = max_solids;
  o.count = 0;
  for (const TabletopSplit& split : splits) o.count += split.count;
  Progress progress("render " + name, o.count);
  write_tabletop(run.out / name, o, splits, [&](int64_t done) { progress.update(done, "", done, "images"); });
}

}  // namespace

void make_world(DemoRun& run) {
  const DemoRecipe& r = run.recipe;
  write_world(run, "photo", kPhoto, Look::photo, r.max_solids,
              {{"train", r.train}, {"test", r.test}, {"unseen", r.unseen}});
  write_world(run, "singles", kSingles, Look::photo, 1, {{"test", r.singles}});
  write_world(run, "judged_captions", kJudged, Look::photo, 1, {{"test", r.judged}});
  if (!run.weights.empty()) return;
  write_world(run, "pretrain", kPretrain, Look::photo, r.max_solids, {{"train", r.pretrain}});
  write_world(run, "studio", kStudio, Look::studio, r.max_solids, {{"train", r.studio}});
}

std::filesystem::path clip_folder(DemoRun& run) {
  if (!run.weights.empty()) return run.weights / "clip";
  const DemoRecipe& r = run.recipe;
  PretrainOptions o;
  o.manifest = run.out / "pretrain" / "manifest.jsonl";
  o.cache = run.out / "pretrain" / "images.cache";
  o.model = r.clip;
  o.vocab = r.vocab;
  o.batch = r.pretrain_batch;
  o.store = StoreAs::float16;
  o.train = recipe_training(run.out / "clip", r.pretrain_steps, r.pretrain_lr, run.seed, run.command);
  o.train.cuda_graph = run.recipe.cuda_graph;
  o.train.adamw.weight_decay = 0.05;
  pretrain(run.ctx, o);
  return run.out / "clip";
}

std::filesystem::path generator_folder(DemoRun& run, const std::filesystem::path& clip) {
  if (!run.weights.empty()) return run.weights / "generator";
  const DemoRecipe& r = run.recipe;
  GeneratorOptions o;
  o.manifest = run.out / "studio" / "manifest.jsonl";
  o.cache = run.out / "studio" / "images.cache";
  o.unet = r.unet;
  o.batch = r.generator_batch;
  o.store = StoreAs::float16;
  o.train = recipe_training(run.out / "generator", r.generator_steps, r.generator_lr, run.seed, run.command);
  o.train.cuda_graph = run.recipe.cuda_graph;
  o.train.ema_decay = 0.999;
  ClipModel text = ClipModel::load(clip, run.ctx.device);
  train_generator(run.ctx, text, o);
  return run.out / "generator";
}

void draw_generated(DemoRun& run, const std::filesystem::path& clip, const std::filesystem::path& generator) {
  ClipModel text = ClipModel::load(clip, run.ctx.device);
  Generator g = Generator::load(generator, run.ctx.device);
  GenerateOptions o;
  o.seed = run.seed;
  o.sample = run.recipe.sample;
  o.sample.cuda_graph = run.recipe.cuda_graph;
  o.command = run.command;
  o.manifest = run.out / "photo" / "manifest.jsonl";
  o.out = run.out / "generated";
  for (const std::string split : {"train", "unseen"}) {
    o.split = split;
    generate(run.ctx, g, text, o);
  }
  o.split = "test";
  o.manifest = run.out / "judged_captions" / "manifest.jsonl";
  o.out = run.out / "judged";
  generate(run.ctx, g, text, o);
}

void align_generated(DemoRun& run, const std::filesystem::path& clip) {
  const DemoRecipe& r = run.recipe;
  AlignOptions o;
  o.manifest = run.out / "generated" / "manifest.jsonl";
  o.real_manifest = run.out / "photo" / "manifest.jsonl";
  o.split = "train";
  o.base_model = clip.string();
  o.batch = r.align_batch;
  o.train = recipe_training(run.out / "adapter", r.align_steps, r.align_lr, run.seed, run.command);
  o.train.cuda_graph = run.recipe.cuda_graph;
  o.train.schedule.kind = ScheduleKind::cosine_restarts;
  ClipModel base = ClipModel::load(clip, run.ctx.device);
  align(run.ctx, base, o);
}

}  // namespace gmail::cli
