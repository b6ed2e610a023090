#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "data/loader.h"
#include "gmail/clip_flow.h"
#include "gmail/downstream.h"
#include "io/json.h"
#include "models/caption_decoder.h"
#include "nn/param_file.h"
#include "train/ema.h"

namespace gmail {

namespace {

ClipCap make_model(const Tokenizer& tokenizer, int64_t clip_dim, const CaptionerOptions& o) {
  ClipCapConfig config = o.model;
  config.clip_dim = clip_dim;
  config.end_id = tokenizer.end_id();
  config.gpt.vocab_size = tokenizer.vocab_size();
  if (o.decoder.empty()) {
    GMAIL_INPUT(o.trained == Trained::all,
                "[captioner] a decoder from scratch must be trained: expected a decoder");
    ClipCap model(config);
    model.init(o.train.seed);
    return model;
  }
  Gpt2 gpt = Gpt2::load(o.decoder);
  GMAIL_INPUT(tokenizer.vocab_size() <= gpt.config.vocab_size, o.decoder.string(), ": the vocabulary has ",
              tokenizer.vocab_size(), " tokens, the decoder ", gpt.config.vocab_size);
  GMAIL_INPUT(config.prefix_length < gpt.config.n_positions, o.decoder.string(), ": a prefix of ",
              config.prefix_length, " for ", gpt.config.n_positions, " positions");
  ClipCap model(config, std::move(gpt));
  model.init_mapper(o.train.seed);
  return model;
}

void choose_trained(ClipCap& model, const CaptionerOptions& o) {
  GMAIL_INPUT(o.dropout >= 0 && o.dropout < 1, "[captioner] dropout: expected 0 .. 1, found ", o.dropout);
  GMAIL_INPUT(o.dropout == 0 || !o.train.cuda_graph,
              "[captioner] dropout differs from step to step: expected no ", "CUDA graph");
  GMAIL_INPUT(o.dropout == 0 || o.trained != Trained::mapper, "[captioner] a frozen decoder has no dropout");
  model.config.gpt.dropout = model.gpt.config.dropout = o.dropout;
  ParamList decoder;
  model.gpt.collect(decoder);
  if (o.trained == Trained::all)
    for (Param* p : decoder) p->trainable = true;
  if (o.trained == Trained::lora)
    model.gpt.each_linear([&](Linear& l) {
      if (o.lora_mlp || l.path().find(".attn.") != std::string::npos)
        l.add_lora(o.lora_rank, o.lora_alpha, o.train.seed);
    });
}

// The captions' tokens, cut at what the decoder takes and at max_tokens; the original's code also cuts at the
// mean + 10 standard deviations.
std::vector<std::vector<int32_t>> encode(const Tokenizer& tokenizer, const std::vector<std::string>& captions,
                                         const ClipCapConfig& config, int64_t max_tokens) {
  std::vector<std::vector<int32_t>> tokens;
  double sum = 0, squares = 0;
  for (const std::string& caption : captions) {
    tokens.push_back(tokenizer.encode(caption));
    const auto n = static_cast<double>(tokens.back().size());
    sum += n;
    squares += n * n;
  }
  int64_t most = config.gpt.n_positions - config.prefix_length;
  if (max_tokens > 0) most = std::min(most, max_tokens);
  const auto N = static_cast<double>(tokens.size());
  if (config.released && N > 1) {
    const double deviation = std::sqrt(std::max(0.0, (squares - sum * sum / N) / (N - 1)));
    most = std::min(most, static_cast<int64_t>(sum / N + 10 * deviation));
  }
  for (auto& caption : tokens)
    if (std::ssize(caption) > most) caption.resize(static_cast<size_t>(most));
  return tokens;
}

nlohmann::json settings(const ClipCap& model, const CaptionerOptions& o, int64_t pairs) {
  nlohmann::json j{{"model", model.config.to_json()}, {"batch", o.batch}, {"pairs", pairs}};
  if (o.trained != Trained::all) j["train"] = o.trained == Trained::mapper ? "mapper" : "lora";
  if (o.trained == Trained::lora) j["lora"] = {o.lora_rank, o.lora_alpha, o.lora_mlp};
  if (o.dropout > 0) j["dropout"] = o.dropout;
  if (o.max_tokens > 0) j["max_tokens"] = o.max_tokens;
  return j;
}

}  // namespace

Trained trained_from(const std::string& name, const std::string& where) {
  if (name == "all") return Trained::all;
  if (name == "mapper") return Trained::mapper;
  GMAIL_INPUT(name == "lora", where, ": expected all, mapper or lora, found ", name);
  return Trained::lora;
}

TrainReport train_captioner(const Context& ctx, const Tokenizer& tokenizer, const EmbeddedPairs& data,
                            const CaptionerOptions& o) {
  const auto n = static_cast<int64_t>(data.captions.size());
  GMAIL_CHECK(n > 0 && data.embeddings.size(0) == n, "[captioner] ", n, " captions for ",
              data.embeddings.shape());
  GMAIL_INPUT(
      !o.model.released || tokenizer.encode(".") == std::vector<int32_t>{13},
      "[captioner] the released rule stops at token 13: expected GPT-2's vocabulary, where it is \".\"");
  ClipCap model = make_model(tokenizer, data.embeddings.size(1), o);
  choose_trained(model, o);
  const auto tokens = encode(tokenizer, data.captions, model.config, o.max_tokens);
  place(model.params(), ctx.device);
  TrainOptions train_options = o.train;
  train_options.kind = "caption";
  train_options.config = settings(model, o, n);
  const Sampler order(n, o.batch, o.train.seed, true);
  struct Inputs {
    Tensor embeddings;
    CaptionBatch captions;
  };
  std::map<int64_t, Inputs> inputs;  // by the length of the longest caption
  const Inputs* now = nullptr;
  DropoutKey key{o.train.seed, 0, 0};
  const auto prepare = [&](int64_t k) {
    const std::vector<int64_t> rows = order.at(k);
    std::vector<std::vector<int32_t>> captions;
    for (const int64_t r : rows) captions.push_back(tokens[static_cast<size_t>(r)]);
    const CaptionBatch batch = model.batch(captions);
    Inputs& in = inputs[batch.ids.size(1)];
    ctx.put(in.embeddings, take_rows(data.embeddings, rows));
    in.captions.put(ctx, batch);
    now = &in;
    key.step = static_cast<uint64_t>(k);
    return batch.ids.size(1);
  };
  const auto compute = [&](const Context& step_ctx) -> StepResult {
    Tape tape(step_ctx);
    const Var loss = model.loss(tape, Var(now->embeddings), now->captions, key);
    tape.backward(loss);
    return {loss.value, {}, now->embeddings.size(0)};
  };
  const ParamList params = model.params();
  const TrainReport report = train(ctx, train_options, params, StagedStep{prepare, compute});
  if (!report.ema.empty()) apply_ema(params, report.ema);
  model.gpt.each_linear([](Linear& l) { l.merge_lora(); });
  tokenizer.save(o.train.out);
  write_json(o.train.out / "config.json", model.config.to_json());
  save_params(o.train.out / "model.safetensors", model.params(), {{"format", "pt"}});
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
