#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "data/loader.h"
#include "gmail/clip_flow.h"
#include "gmail/downstream.h"
#include "io/json.h"
#include "models/caption_decoder.h"
#include "nn/param_file.h"

namespace gmail {

TrainReport train_captioner(const Context& ctx, const Tokenizer& tokenizer, const EmbeddedPairs& data,
                            const CaptionerOptions& o) {
  const auto n = static_cast<int64_t>(data.captions.size());
  GMAIL_CHECK(n > 0 && data.embeddings.size(0) == n, "[captioner] ", n, " captions for ",
              data.embeddings.shape());
  ClipCapConfig config = o.model;
  config.clip_dim = data.embeddings.size(1);
  config.end_id = tokenizer.end_id();
  config.gpt.vocab_size = tokenizer.vocab_size();
  const int64_t room = config.gpt.n_positions - config.prefix_length;
  std::vector<std::vector<int32_t>> tokens;
  for (const std::string& caption : data.captions) {
    tokens.push_back(tokenizer.encode(caption));
    if (static_cast<int64_t>(tokens.back().size()) > room) tokens.back().resize(static_cast<size_t>(room));
  }
  ClipCap model(config);
  model.init(o.train.seed);
  place(model.params(), ctx.device);
  TrainOptions train_options = o.train;
  train_options.kind = "caption";
  train_options.config = {{"model", config.to_json()}, {"batch", o.batch}, {"pairs", n}};
  const Sampler order(n, o.batch, o.train.seed, true);
  struct Inputs {
    Tensor embeddings;
    CaptionBatch captions;
  };
  std::map<int64_t, Inputs> inputs;  // by the length of the longest caption
  const Inputs* now = nullptr;
  const auto prepare = [&](int64_t k) {
    const std::vector<int64_t> rows = order.at(k);
    std::vector<std::vector<int32_t>> captions;
    for (const int64_t r : rows) captions.push_back(tokens[static_cast<size_t>(r)]);
    const CaptionBatch batch = model.batch(captions);
    Inputs& in = inputs[batch.ids.size(1)];
    ctx.put(in.embeddings, take_rows(data.embeddings, rows));
    in.captions.put(ctx, batch);
    now = &in;
    return batch.ids.size(1);
  };
  const auto compute = [&](const Context& step_ctx) -> StepResult {
    Tape tape(step_ctx);
    const Var loss = model.loss(tape, Var(now->embeddings), now->captions);
    tape.backward(loss);
    return {loss.value, {}, now->embeddings.size(0)};
  };
  const ParamList params = model.params();
  const TrainReport report = train(ctx, train_options, params, StagedStep{prepare, compute});
  tokenizer.save(o.train.out);
  write_json(o.train.out / "config.json", config.to_json());
  save_params(o.train.out / "model.safetensors", params, {{"format", "pt"}});
  return report;
}

bool has_vocabulary(const std::filesystem::path& folder) {
  return std::ranges::any_of(std::initializer_list<const char*>{"vocab.json", "merges.txt", "encoder.json",
                                                                "vocab.bpe", "tokenizer.json"},
                             [&](const char* name) { return std::filesystem::exists(folder / name); });
}

Captioner Captioner::load(const std::filesystem::path& folder, Device device) {
  const auto file = folder / "config.json";
  Captioner c{ClipCap(ClipCapConfig::from_json(read_json(file), file.string())), std::nullopt};
  if (has_vocabulary(folder)) c.tokenizer = Tokenizer::load(folder);
  freeze(c.model.params());
  load_params(TensorFiles::open(folder), c.model.params());
  place(c.model.params(), device);
  return c;
}

std::vector<std::string> Captioner::caption(const Context& ctx, const Tensor& embeddings,
                                            const DecodeOptions& options) {
  GMAIL_INPUT(embeddings.size(1) == model.config.clip_dim, "[caption] embeddings of ", embeddings.size(1),
              " numbers, the captioner was trained on ", model.config.clip_dim);
  GMAIL_INPUT(tokenizer,
              "[caption] the captioner's folder holds no vocabulary: expected vocab.json, merges.txt");
  constexpr int64_t kBatch = 64;
  CaptionDecoder decoder(ctx, model, options);
  std::vector<std::string> texts;
  for (int64_t begin = 0; begin < embeddings.size(0); begin += kBatch) {
    const Tensor rows = embeddings.rows(begin, std::min(embeddings.size(0), begin + kBatch));
    for (const Decoded& d : decoder.decode(rows)) texts.push_back(tokenizer->decode(d.tokens));
  }
  return texts;
}

}  // namespace gmail
