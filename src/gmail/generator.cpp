#include "gmail/generator.h"

#include <map>
#include <nlohmann/json.hpp>

#include "autograd/functions.h"
#include "io/json.h"
#include "nn/param_file.h"
#include "train/ema.h"

namespace gmail {

Generator Generator::load(const std::filesystem::path& folder, Device device) {
  const auto unet_file = folder / "unet" / "config.json",
             scheduler = folder / "scheduler" / "scheduler_config.json";
  Generator g{Unet(UnetConfig::from_json(read_json(unet_file), unet_file.string())), {}};
  const auto json = read_json(scheduler);
  g.diffusion.prediction = prediction_of(json.value("prediction_type", ""), scheduler.string());
  g.diffusion.schedule = noise_schedule_of(json.value("beta_schedule", ""), scheduler.string());
  freeze(g.unet.params());
  load_params(TensorFiles::open(folder / "unet", "diffusion_pytorch_model.safetensors"), g.unet.params());
  place(g.unet.params(), device);
  return g;
}

void Generator::save(const std::filesystem::path& folder, StoreAs store) {
  make_dirs(folder / "unet");
  make_dirs(folder / "scheduler");
  write_json(folder / "scheduler" / "scheduler_config.json",
             {{"_class_name", "DDIMScheduler"},
              {"beta_schedule", name_of(diffusion.schedule)},
              {"prediction_type", name_of(diffusion.prediction)},
              {"clip_sample", true}});
  write_json(folder / "unet" / "config.json", unet.config.to_json());
  save_params(folder / "unet" / "diffusion_pytorch_model.safetensors", unet.params(), {{"format", "pt"}},
              store);
}

TextContext text_context(const Context& ctx, ClipModel& text, const TextInput& input, bool pooled) {
  Tape tape(ctx, false);
  const Var tokens = text.clip.text.tokens(tape, input);
  return {tokens, pooled ? text.clip.text.pooled(tape, tokens, input) : Var(), input.key_mask()};
}

namespace {

nlohmann::json identity(const GeneratorOptions& o, const ClipModel& text) {
  return {{"unet", o.unet.to_json()},
          {"prediction_type", name_of(o.diffusion.prediction)},
          {"beta_schedule", name_of(o.diffusion.schedule)},
          {"time", {o.diffusion.time_shift, o.diffusion.time_spread}},
          {"batch", o.batch},
          {"text_dropout", o.text_dropout},
          {"flip", o.flip},
          {"split", o.split},
          {"text_width", text.clip.config.text.hidden_size}};
}

}  // namespace

TrainReport train_generator(const Context& ctx, ClipModel& text, const GeneratorOptions& o) {
  GMAIL_INPUT(o.unet.cross_attention_dim == text.clip.config.text.hidden_size,
              "[generator] cross_attention_dim ", o.unet.cross_attention_dim, ", the text tower has width ",
              text.clip.config.text.hidden_size);
  GMAIL_INPUT(o.text_dropout >= 0 && o.text_dropout <= 1, "[generator] text dropout must be in [0, 1], got ",
              o.text_dropout);
  Generator g{Unet(o.unet), o.diffusion};
  g.unet.init(o.train.seed);
  place(g.unet.params(), ctx.device);
  const Manifest manifest = read_manifest(o.manifest).filter(o.split);
  GMAIL_INPUT(manifest.size() > 0, o.manifest.string(), ": no record of split \"", o.split, "\"");
  const ImageStore store(
      manifest, {.preprocess = Preprocess::square(o.unet.sample_size), .cache = o.cache, .progress = {}});
  Loader loader(
      manifest, store,
      {.batch = o.batch, .seed = o.train.seed, .augment = {0, o.flip}, .normalisation = kHalfNormalisation});
  TrainOptions train_options = o.train;
  train_options.kind = "generator";
  train_options.config = identity(o, text);
  std::map<int64_t, TextInput> texts;  // by the length of the longest caption
  const TextInput* input = nullptr;
  Noised noised;
  Tensor waves;
  const auto prepare = [&](int64_t k) {
    const Batch batch = loader.at(k);
    std::vector<std::string> captions = batch.captions;
    for (size_t i = 0; i < captions.size(); ++i)
      if (Rng(o.train.seed, Purpose::text_dropout, static_cast<uint64_t>(k), i).chance(o.text_dropout))
        captions[i] = "";
    const Noised made = add_noise(o.diffusion, batch.images, o.train.seed, static_cast<uint64_t>(k));
    ctx.put(noised.x_t, made.x_t);
    ctx.put(noised.target, made.target);
    ctx.put(noised.weight, made.weight);
    ctx.put(waves, g.unet.time_waves(made.t));
    const TextInput tokens = text.tokens(captions);
    TextInput& there = texts[tokens.ids.size(1)];
    there.put(ctx, tokens);
    input = &there;
    return tokens.ids.size(1);
  };
  const auto compute = [&](const Context& step_ctx) -> StepResult {
    const TextContext context = text_context(step_ctx, text, *input, o.unet.pooled_dim > 0);
    Tape tape(step_ctx);
    const TextKeys keys = g.unet.text_keys(tape, context.tokens, context.mask, context.pooled);
    const Var prediction = g.unet.forward_at(tape, Var(noised.x_t), waves, keys);
    const Var loss = weighted_mse(tape, prediction, noised.target, noised.weight);
    tape.backward(loss);
    return {loss.value, {}, o.batch};
  };
  const ParamList params = g.unet.params();
  const TrainReport report = train(ctx, train_options, params, StagedStep{prepare, compute});
  if (!report.ema.empty()) apply_ema(params, report.ema);
  g.save(o.train.out, o.store);
  return report;
}

}  // namespace gmail
