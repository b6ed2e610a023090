#include <map>
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
  struct Inputs {
    Tensor embeddings, group;
    TextInput text;
  };
  std::map<int64_t, Inputs> inputs;  // by the length of the longest caption
  const Inputs* now = nullptr;
  const auto prepare_step = [&](int64_t k) {
    const std::vector<int64_t> rows = order.at(k);
    std::vector<std::string> captions;
    for (const int64_t r : rows) captions.push_back(data.captions[static_cast<size_t>(r)]);
    const TextInput text = model.tokens(captions);
    Inputs& in = inputs[text.ids.size(1)];
    in.text.put(ctx, text);
    ctx.put(in.embeddings, take_rows(data.embeddings, rows));
    if (o.mask_duplicates) ctx.put(in.group, same_text_groups(captions));
    now = &in;
    return text.ids.size(1);
  };
  const auto compute = [&](const Context& step_ctx) -> StepResult {
    Tape tape(step_ctx);
    const Var y = model.clip.text.encode(tape, now->text);
    const Var loss = clip_loss(tape, Var(now->embeddings), y, model.clip.logit_scale.on(tape), now->group);
    tape.backward(loss);
    return {loss.value, {}, now->embeddings.size(0)};
  };
  const TrainReport report = train(ctx, train_options, params, StagedStep{prepare_step, compute},
                                   [&](int64_t) { clamp_logit_scale(ctx, model.clip.logit_scale); });
  model.clip.text.each_linear([](Linear& l) { l.merge_lora(); });
  model.save(o.train.out);
  return report;
}

}  // namespace gmail
