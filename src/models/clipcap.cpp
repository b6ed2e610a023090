#include "models/clipcap.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace gmail {

ClipCapConfig ClipCapConfig::from_json(const nlohmann::json& j, const std::string& file) {
  GMAIL_INPUT(j.is_object() && j.contains("clip_dim") && j.contains("prefix_length") && j.contains("end_id"),
              file,
              ": expected a captioner's config.json with clip_dim, prefix_length, normalize_prefix, end_id");
  ClipCapConfig c;
  c.gpt = Gpt2Config::from_json(j, file);
  c.clip_dim = j["clip_dim"];
  c.prefix_length = j["prefix_length"];
  c.normalize_prefix = j.value("normalize_prefix", false);
  c.end_id = j["end_id"];
  return c;
}

nlohmann::json ClipCapConfig::to_json() const {
  nlohmann::json j = gpt.to_json();
  j.update({{"model_type", "clipcap"},
            {"mapper", "mlp"},
            {"clip_dim", clip_dim},
            {"prefix_length", prefix_length},
            {"normalize_prefix", normalize_prefix},
            {"end_id", end_id}});
  return j;
}

ClipCap::ClipCap(const ClipCapConfig& c)
    : config(c),
      mapper_in("clip_project.model.0", c.clip_dim, c.gpt.n_embd * c.prefix_length / 2),
      mapper_out("clip_project.model.2", c.gpt.n_embd * c.prefix_length / 2, c.gpt.n_embd * c.prefix_length),
      gpt(c.gpt) {}

void ClipCap::init(uint64_t seed) {
  gpt.init(seed);
  for (Linear* l : {&mapper_in, &mapper_out})  // PyTorch's default
    init_uniform(l->weight, 1 / std::sqrt(static_cast<double>(l->weight.value.size(1))), seed);
}

ParamList ClipCap::params() {
  ParamList list;
  mapper_in.collect(list);
  mapper_out.collect(list);
  gpt.collect(list);
  return list;
}

Var ClipCap::prefix(Tape& tape, const Var& embeddings_anywhere) {
  const Var embeddings = from_host(tape, embeddings_anywhere);
  const Var e = config.normalize_prefix ? l2_normalize(tape, embeddings) : embeddings;
  const Var y = mapper_out.forward(tape, activation(tape, mapper_in.forward(tape, e), Activation::tanh));
  return reshape(tape, y, {e.size(0), config.prefix_length, config.gpt.n_embd});
}

void CaptionBatch::put(const Context& ctx, const CaptionBatch& batch) {
  ctx.put(ids, batch.ids);
  ctx.put(targets, batch.targets);
  ctx.put(mask, batch.mask);
}

CaptionBatch ClipCap::batch(const std::vector<std::vector<int32_t>>& captions) const {
  const auto B = static_cast<int64_t>(captions.size());
  size_t longest = 0;
  for (const auto& caption : captions) longest = std::max(longest, caption.size());
  const auto T = static_cast<int64_t>(longest);
  Tensor ids = Tensor::zeros({B, T}, DType::int32);
  Tensor targets = Tensor::zeros({B * (T + 1)}, DType::int32),
         mask = Tensor::zeros({B * (T + 1)}, DType::int32);
  for (int64_t b = 0; b < B; ++b) {
    const auto& caption = captions[static_cast<size_t>(b)];
    std::copy(caption.begin(), caption.end(), ids.data<int32_t>() + b * T);
    std::copy(caption.begin(), caption.end(), targets.data<int32_t>() + b * (T + 1));
    targets.data<int32_t>()[b * (T + 1) + static_cast<int64_t>(caption.size())] = config.end_id;
    std::fill_n(mask.data<int32_t>() + b * (T + 1), caption.size() + 1, 1);
  }
  return {ids, targets, mask};
}

Var ClipCap::loss(Tape& tape, const Var& embeddings, const std::vector<std::vector<int32_t>>& captions) {
  return loss(tape, embeddings, batch(captions));
}

Var ClipCap::loss(Tape& tape, const Var& embeddings, const CaptionBatch& captions) {
  const int64_t B = captions.ids.size(0), T = captions.ids.size(1);
  GMAIL_CHECK(embeddings.size(0) == B, "[clipcap] ", embeddings.shape(), " embeddings for ", B, " captions");
  const Var words = gpt.embed(tape, captions.ids);
  const Var inputs = concat(tape, {prefix(tape, embeddings), words}, 1);  // (B, k + T, C)
  const Var hidden =
      slice(tape, gpt.hidden(tape, inputs), 1, config.prefix_length - 1, config.prefix_length + T);
  const Var rows = reshape(tape, hidden, {B * (T + 1), config.gpt.n_embd});
  return softmax_cross_entropy(tape, gpt.logits(tape, rows), captions.targets, captions.mask);
}

}  // namespace gmail
