#include "gmail/pretrain.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "autograd/functions.h"
#include "core/dispatch.h"
#include "data/bpe_train.h"
#include "ops/clamp.h"
#include "train/grad_cache.h"

namespace gmail {

Var clip_loss(Tape& tape, const Var& image, const Var& text, const Var& log_scale, const Tensor& group) {
  return info_nce(tape, l2_normalize(tape, image), l2_normalize(tape, text), log_scale,
                  {.symmetric = true, .group = group});
}

Tensor same_text_groups(std::span<const std::string> texts) {
  std::unordered_map<std::string, int32_t> number;
  Tensor group = Tensor::empty({static_cast<int64_t>(texts.size())}, DType::int32);
  for (size_t i = 0; i < texts.size(); ++i)
    group.data<int32_t>()[i] =
        number.try_emplace(texts[i], static_cast<int32_t>(number.size())).first->second;
  return group;
}

void clamp_logit_scale([[maybe_unused]] const Context& ctx, Param& logit_scale) {
  GMAIL_RUN(ctx, clamp, logit_scale.value, 0, static_cast<double>(std::log(100.0F)));
}

namespace {

Tokenizer make_tokenizer(const PretrainOptions& o, const Manifest& manifest) {
  if (!o.tokenizer.empty()) return Tokenizer::load(o.tokenizer);
  std::vector<std::string> captions;
  for (const Record& r : manifest.records)
    captions.insert(captions.end(), r.captions.begin(), r.captions.end());
  return train_bpe(captions, o.vocab);
}

struct Inputs {
  Tensor images;
  TextInput text;
  Tensor group;  // absent: equal captions count as negatives
};

// Loss and gradients of one batch: at once, or in chunks with the whole's gradients (train/grad_cache.h).
Tensor pretrain_step(const Context& ctx, ClipModel& model, const Inputs& in, const PretrainOptions& o) {
  const int64_t B = in.images.size(0), chunk = o.chunk > 0 ? std::min(o.chunk, B) : B;
  const auto encode = [&](Tape& tape, int64_t c, bool) -> std::vector<Var> {
    const int64_t begin = c * chunk, end = std::min(B, begin + chunk);
    return {model.clip.image.encode(tape, Var(in.images.rows(begin, end))),
            model.clip.text.encode(tape, in.text.rows(begin, end))};
  };
  const auto loss = [&](Tape& tape, const std::vector<Var>& z) {
    return clip_loss(tape, z[0], z[1], model.clip.logit_scale.on(tape), in.group);
  };
  if (chunk < B) return grad_cached_step(ctx, (B + chunk - 1) / chunk, encode, loss);
  Tape tape(ctx);
  const Var value = loss(tape, encode(tape, 0, false));
  tape.backward(value);
  return value.value;
}

}  // namespace

TrainReport pretrain(const Context& ctx, const PretrainOptions& o) {
  const Manifest manifest = read_manifest(o.manifest).filter(o.split);
  GMAIL_INPUT(manifest.size() > 0, o.manifest.string(), ": no record of split \"", o.split, "\"");
  Tokenizer tokenizer = make_tokenizer(o, manifest);
  ClipConfig config = o.model;
  if (config.vocab_size == 0) config.vocab_size = tokenizer.vocab_size();
  ClipModel model{Clip(config), std::move(tokenizer), Preprocess::square(config.image_size, o.norm)};
  model.clip.init(o.train.seed);
  place(model.clip.params(), ctx.device);
  model.clip.image.checkpointing = model.clip.text.checkpointing = o.checkpointing;
  const ImageStore store(manifest, {.preprocess = model.preprocess, .cache = o.cache, .progress = {}});
  Loader loader(manifest, store,
                {.batch = o.batch, .seed = o.train.seed, .augment = o.augment, .normalisation = o.norm});
  TrainOptions train_options = o.train;
  train_options.kind = "pretrain";
  train_options.config = {
      {"model", config.to_json()}, {"batch", o.batch}, {"crop_shift", o.augment.crop_shift},
      {"flip", o.augment.flip},    {"split", o.split}, {"mask_duplicates", o.mask_duplicates},
      {"images", manifest.size()}};
  std::map<int64_t, Inputs> inputs;  // by the length of the longest caption
  const Inputs* now = nullptr;
  const auto prepare = [&](int64_t k) {
    const Batch batch = loader.at(k);
    const TextInput text = model.tokens(batch.captions);
    Inputs& in = inputs[text.ids.size(1)];
    ctx.put(in.images, batch.images);
    in.text.put(ctx, text);
    if (o.mask_duplicates) ctx.put(in.group, same_text_groups(batch.captions));
    now = &in;
    return text.ids.size(1);
  };
  const auto compute = [&](const Context& step_ctx) -> StepResult {
    const Tensor loss = pretrain_step(step_ctx, model, *now, o);
    const Logged scale{model.clip.logit_scale.value, [](double s) { return std::exp(s); }};
    return {loss, {{"logit_scale", scale}}, o.batch};
  };
  const TrainReport report = train(ctx, train_options, model.clip.params(), StagedStep{prepare, compute},
                                   [&](int64_t) { clamp_logit_scale(ctx, model.clip.logit_scale); });
  model.save(o.train.out, o.store);
  return report;
}

}  // namespace gmail
