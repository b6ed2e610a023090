#include "models/clipcap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

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

namespace {

struct Beam {
  Decoded text;
  int64_t row = 0;  // its row in the cache
};

struct Search {
  std::vector<Beam> live, done;
};

double normalised(const Decoded& d) { return d.logprob / static_cast<double>(d.tokens.size() + 1); }

std::vector<double> log_softmax(const float* logits, int64_t V) {
  const double top = *std::max_element(logits, logits + V);
  double sum = 0;
  for (int64_t i = 0; i < V; ++i) sum += std::exp(static_cast<double>(logits[i]) - top);
  std::vector<double> out(static_cast<size_t>(V));
  for (int64_t i = 0; i < V; ++i)
    out[static_cast<size_t>(i)] = static_cast<double>(logits[i]) - top - std::log(sum);
  return out;
}

// Keeps the `beams` best finished texts. Greedy search ends with its first; a beam search once it has as many
// as beams and the best open one does not score above the worst of them.
bool finished(Search& search, const std::vector<Beam>& open, int beams) {
  std::vector<Beam>& done = search.done;
  std::stable_sort(done.begin(), done.end(),
                   [](const Beam& x, const Beam& y) { return normalised(x.text) > normalised(y.text); });
  if (std::ssize(done) < beams) return false;
  done.resize(static_cast<size_t>(beams));
  return beams == 1 || open.empty() || normalised(open.front().text) <= normalised(done.back().text);
}

// One step of one image's search: the best continuations of its live beams; ties go to the lower beam, then
// token.
void advance(Search& search, const Tensor& logits, const DecodeOptions& options, int32_t end_id) {
  struct Candidate {
    double logprob;
    size_t beam;
    int32_t token;
  };
  const int64_t V = logits.size(1);
  std::vector<Candidate> all;
  for (size_t b = 0; b < search.live.size(); ++b) {
    const Decoded& text = search.live[b].text;
    const auto logp = log_softmax(logits.data<float>() + search.live[b].row * V, V);
    const auto length = static_cast<int64_t>(text.tokens.size());
    for (int32_t w = 0; w < static_cast<int32_t>(V); ++w) {
      if (w == end_id ? length < options.min_length : length >= options.max_length) continue;
      all.push_back({text.logprob + logp[static_cast<size_t>(w)], b, w});
    }
  }
  const auto wanted = std::min(all.size(), static_cast<size_t>(2 * options.beams));
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(wanted), all.end(),
                    [](const Candidate& x, const Candidate& y) {
                      return x.logprob != y.logprob ? x.logprob > y.logprob
                                                    : std::pair(x.beam, x.token) < std::pair(y.beam, y.token);
                    });
  std::vector<Beam> next;
  for (size_t i = 0; i < wanted && static_cast<int>(next.size()) < options.beams; ++i) {
    Beam beam = search.live[all[i].beam];
    beam.text.logprob = all[i].logprob;
    if (all[i].token == end_id) {
      if (static_cast<int>(i) < options.beams) search.done.push_back(beam);
      continue;
    }
    beam.text.tokens.push_back(all[i].token);
    next.push_back(std::move(beam));
  }
  search.live = finished(search, next, options.beams) ? std::vector<Beam>{} : std::move(next);
}

}  // namespace

std::vector<Decoded> ClipCap::decode(const Context& ctx, const Tensor& embeddings,
                                     const DecodeOptions& options) {
  Tape tape(ctx, false);
  return decode_prefix(ctx, prefix(tape, Var(embeddings)).value, options);
}

std::vector<Decoded> ClipCap::decode_prefix(const Context& ctx, const Tensor& prefixes,
                                            const DecodeOptions& options) {
  GMAIL_INPUT(options.beams >= 1 && options.max_length >= 1 && options.min_length <= options.max_length,
              "[decode] beams ", options.beams, ", lengths ", options.min_length, " to ", options.max_length);
  const int64_t k = prefixes.size(1);
  GMAIL_INPUT(k + options.max_length <= config.gpt.n_positions, "[decode] max length ", options.max_length,
              ": the captioner has ", config.gpt.n_positions - k, " positions");
  Tape tape(ctx, false);
  KvCache cache;
  Var hidden = slice(tape, gpt.hidden(tape, Var(prefixes), &cache), 1, k - 1, k);
  std::vector<Search> searches(static_cast<size_t>(prefixes.size(0)));
  for (size_t i = 0; i < searches.size(); ++i) searches[i].live = {Beam{{}, static_cast<int64_t>(i)}};
  for (;;) {
    const Var last = reshape(tape, hidden, {hidden.size(0), config.gpt.n_embd});
    const Tensor logits = gpt.logits(tape, last).value.to(Device::cpu).to(DType::float32);
    std::vector<int64_t> rows;
    std::vector<int32_t> tokens;
    for (Search& search : searches) {
      if (search.live.empty()) continue;
      advance(search, logits, options, config.end_id);
      for (Beam& beam : search.live) {
        rows.push_back(beam.row);
        tokens.push_back(beam.text.tokens.back());
        beam.row = static_cast<int64_t>(rows.size()) - 1;
      }
    }
    if (rows.empty()) break;
    cache = cache.select(tape, rows);
    const auto n = static_cast<int64_t>(tokens.size());
    hidden = gpt.hidden(tape, gpt.embed(tape, Tensor::from(tokens, {n, 1})), &cache);
  }
  std::vector<Decoded> out;
  for (const Search& search : searches) out.push_back(search.done.front().text);  // the best, see finished()
  return out;
}

}  // namespace gmail
