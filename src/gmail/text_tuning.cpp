#include <nlohmann/json.hpp>

#include "autograd/functions.h"
#include "data/loader.h"
#include "gmail/clip_flow.h"
#include "gmail/downstream.h"
#include "gmail/gen_clip_flow.h"
#include "gmail/pretrain.h"

namespace gmail {
namespace {

// What of h learns: LoRA matrices, or everything. The temperature learns too.
ParamList prepare(ClipModel& model, const TextTuningOptions& o) {
  TextTower& h = model.clip.text;
  ParamList params;
  if (o.lora_rank > 0) {
    add_lora([&](const auto& f) { h.each_linear(f); },
             {"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"}, o.lora_rank, o.lora_alpha,
             o.train.seed);
    h.text_projection.weight.trainable = true;
    h.collect(params);
  } else {
    h.collect(params);
    for (Param* p : params) p->trainable = true;
  }
  model.clip.logit_scale.trainable = true;
  params.push_back(&model.clip.logit_scale);
  return params;
}

}  // namespace

TrainReport finetune_text(const Context& ctx, const std::filesystem::path& base, const EmbeddedPairs& data,
                          const TextTuningOptions& o) {
  const auto n = static_cast<int64_t>(data.captions.size());
  GMAIL_CHECK(n > 0 && data.embeddings.size(0) == n, "[finetune-text] ", n, " captions for ",
              data.embeddings.shape());
  ClipModel model = ClipModel::load(base, ctx.device);
  const ParamList params = prepare(model, o);
  place(params, ctx.device);
  TrainOptions train_options = o.train;
  train_options.kind = "finetune-text";
  train_options.config = {{"model", model.clip.config.to_json()},
                          {"lora", {o.lora_rank, o.lora_alpha}},
                          {"batch", o.batch},
                          {"mask_duplicates", o.mask_duplicates},
                          {"pairs", n}};
  const Sampler order(n, o.batch, o.train.seed, true);
  const auto step = [&](int64_t k) -> StepResult {
    const std::vector<int64_t> rows = order.at(k);
    std::vector<std::string> captions;
    for (const int64_t r : rows) captions.push_back(data.captions[static_cast<size_t>(r)]);
    Tape tape(ctx);
    const Var y = model.clip.text.encode(tape, model.tokens(captions));
    const Tensor group = o.mask_duplicates ? same_text_groups(captions) : Tensor();
    const Var loss =
        clip_loss(tape, Var(take_rows(data.embeddings, rows)), y, model.clip.logit_scale.on(tape), group);
    tape.backward(loss);
    return {loss.value, {}, static_cast<int64_t>(rows.size())};
  };
  const TrainReport report = train(ctx, train_options, params, step,
                                   [&](int64_t) { clamp_logit_scale(ctx, model.clip.logit_scale); });
  model.clip.text.each_linear([](Linear& l) { l.merge_lora(); });
  model.save(o.train.out);
  return report;
}

}  // namespace gmail
