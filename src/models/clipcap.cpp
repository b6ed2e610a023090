#include "models/clipcap.h"

#include <algorithm>

namespace gmail {

ClipCap::ClipCap(const ClipCapConfig& c) : config(c), mapper(make_mapper(c)), gpt(c.gpt) {}

namespace {
ClipCapConfig with_decoder(ClipCapConfig config, const Gpt2Config& gpt) {
  config.gpt = gpt;
  return config;
}
}  // namespace

ClipCap::ClipCap(const ClipCapConfig& c, Gpt2 decoder)
    : config(with_decoder(c, decoder.config)), mapper(make_mapper(config)), gpt(std::move(decoder)) {}

void ClipCap::init_mapper(uint64_t seed) {
  std::visit([&](auto& m) { m.init(seed); }, mapper);
}

void ClipCap::init(uint64_t seed) {
  gpt.init(seed);
  init_mapper(seed);
}

ParamList ClipCap::params() {
  ParamList list;
  std::visit([&](auto& m) { m.collect(list); }, mapper);
  gpt.collect(list);
  return list;
}

Var ClipCap::prefix(Tape& tape, const Var& embeddings_anywhere) {
  const Var embeddings = from_host(tape, embeddings_anywhere);
  const Var e = config.normalize_prefix ? l2_normalize(tape, embeddings) : embeddings;
  const Var y = std::visit([&](auto& m) { return m.forward(tape, e); }, mapper);
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
    int32_t* const seen = mask.data<int32_t>() + b * (T + 1);
    if (config.released) {  // eq. (3)
      std::ranges::transform(caption, seen, [](int32_t id) { return id != 0 ? 1 : 0; });
      continue;
    }
    targets.data<int32_t>()[b * (T + 1) + static_cast<int64_t>(caption.size())] = config.end_id;
    std::fill_n(seen, caption.size() + 1, 1);
  }
  return {ids, targets, mask};
}

Var ClipCap::loss(Tape& tape, const Var& embeddings, const std::vector<std::vector<int32_t>>& captions) {
  return loss(tape, embeddings, batch(captions));
}

Var ClipCap::loss(Tape& tape, const Var& embeddings, const CaptionBatch& captions, const DropoutKey& key) {
  const int64_t B = captions.ids.size(0), T = captions.ids.size(1);
  GMAIL_CHECK(embeddings.size(0) == B, "[clipcap] ", embeddings.shape(), " embeddings for ", B, " captions");
  const Var words = gpt.embed(tape, captions.ids);
  const Var inputs = concat(tape, {prefix(tape, embeddings), words}, 1);  // (B, k + T, C)
  const Var hidden = slice(tape, gpt.hidden(tape, inputs, nullptr, key), 1, config.prefix_length - 1,
                           config.prefix_length + T);
  const Var rows = reshape(tape, hidden, {B * (T + 1), config.gpt.n_embd});
  return softmax_cross_entropy(tape, gpt.logits(tape, rows), captions.targets, captions.mask);
}

}  // namespace gmail
