#include "models/caption_decoder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace gmail {
namespace {

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
bool finished(CaptionSearch& search, const std::vector<CaptionBeam>& open, int beams) {
  std::vector<CaptionBeam>& done = search.done;
  std::stable_sort(done.begin(), done.end(), [](const CaptionBeam& x, const CaptionBeam& y) {
    return normalised(x.text) > normalised(y.text);
  });
  if (std::ssize(done) < beams) return false;
  done.resize(static_cast<size_t>(beams));
  return beams == 1 || open.empty() || normalised(open.front().text) <= normalised(done.back().text);
}

// One step of one image's search: the best continuations of its live beams; ties go to the lower beam, then
// token.
void advance(CaptionSearch& search, const Tensor& logits, const DecodeOptions& options, int32_t end_id) {
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
  std::vector<CaptionBeam> next;
  for (size_t i = 0; i < wanted && static_cast<int>(next.size()) < options.beams; ++i) {
    CaptionBeam beam = search.live[all[i].beam];
    beam.text.logprob = all[i].logprob;
    if (all[i].token == end_id) {
      if (static_cast<int>(i) < options.beams) search.done.push_back(beam);
      continue;
    }
    beam.text.tokens.push_back(all[i].token);
    next.push_back(std::move(beam));
  }
  search.live = finished(search, next, options.beams) ? std::vector<CaptionBeam>{} : std::move(next);
}

}  // namespace

CaptionDecoder::CaptionDecoder(const Context& ctx, ClipCap& model, const DecodeOptions& options)
    : ctx_(ctx), model_(model), o_(options) {
  GMAIL_INPUT(o_.beams >= 1 && o_.max_length >= 1 && o_.min_length <= o_.max_length, "[decode] beams ",
              o_.beams, ", lengths ", o_.min_length, " to ", o_.max_length);
}

// As many rows as there are live beams, the cache grows by a token a step.
Tensor CaptionDecoder::grow(Searches& searches, KvCache& cache) const {
  std::vector<int64_t> rows;
  std::vector<int32_t> tokens;
  for (CaptionSearch& search : searches)
    for (CaptionBeam& beam : search.live) {
      rows.push_back(beam.row);
      tokens.push_back(beam.text.tokens.back());
      beam.row = static_cast<int64_t>(rows.size()) - 1;
    }
  Tape tape(ctx_, false);
  cache = cache.select(tape, rows);
  const auto n = static_cast<int64_t>(tokens.size());
  const Tensor ids = Tensor::from(tokens, {n, 1});
  return last_logits(tape, model_.gpt.hidden(tape, model_.gpt.embed(tape, ids), &cache));
}

// An image has rows for all its beams from the first step on; those that are not alive repeat token 0.
Tensor CaptionDecoder::step(Searches& searches, Gpt2Steps& steps) const {
  std::vector<int32_t> tokens(static_cast<size_t>(steps.rows()), 0), source(tokens.size());
  std::iota(source.begin(), source.end(), 0);
  for (size_t i = 0; i < searches.size(); ++i)
    for (size_t b = 0; b < searches[i].live.size(); ++b) {
      CaptionBeam& beam = searches[i].live[b];
      const size_t row = i * static_cast<size_t>(o_.beams) + b;
      tokens[row] = beam.text.tokens.back();
      source[row] = static_cast<int32_t>(beam.row);
      beam.row = static_cast<int64_t>(row);
    }
  return steps.step(tokens, source);
}

// Rows of the first step: all beams of an image go on from its prefix.
Gpt2Steps& CaptionDecoder::begin(Searches& searches, const KvCache& prefix) {
  const auto B = std::ssize(searches), R = B * o_.beams;
  const auto [place, first] = steps_.try_emplace(R);
  if (first)
    place->second = std::make_unique<Gpt2Steps>(ctx_, model_.gpt, R, prefix.length() + o_.max_length,
                                                o_.beams > 1, o_.cuda_graph);
  std::vector<int32_t> source;
  for (int64_t r = 0; r < R; ++r) source.push_back(static_cast<int32_t>(r / o_.beams));
  place->second->begin(prefix, source);
  for (int64_t i = 0; i < B; ++i)
    for (CaptionBeam& beam : searches[static_cast<size_t>(i)].live) beam.row = i * o_.beams;
  return *place->second;
}

// hidden (B, T, C) -> logits of the last position (B, V), float32 on the CPU
Tensor CaptionDecoder::last_logits(Tape& tape, const Var& hidden) const {
  const int64_t B = hidden.size(0), T = hidden.size(1);
  const Var last = reshape(tape, slice(tape, hidden, 1, T - 1, T), {B, model_.config.gpt.n_embd});
  return model_.gpt.logits(tape, last).value.to(Device::cpu).to(DType::float32);
}

std::vector<Decoded> CaptionDecoder::decode(const Tensor& embeddings) {
  Tape tape(ctx_, false);
  return decode_prefix(model_.prefix(tape, Var(embeddings)).value);
}

std::vector<Decoded> CaptionDecoder::decode_prefix(const Tensor& prefixes) {
  const int64_t k = prefixes.size(1), positions = model_.config.gpt.n_positions;
  GMAIL_INPUT(k + o_.max_length <= positions, "[decode] max length ", o_.max_length, ": the captioner has ",
              positions - k, " positions");
  Tape tape(ctx_, false);
  KvCache cache;
  Tensor logits = last_logits(tape, model_.gpt.hidden(tape, Var(prefixes), &cache));
  Searches searches(static_cast<size_t>(prefixes.size(0)));
  for (size_t i = 0; i < searches.size(); ++i) searches[i].live = {CaptionBeam{{}, static_cast<int64_t>(i)}};
  Gpt2Steps* steps = nullptr;
  for (;;) {
    for (CaptionSearch& search : searches)
      if (!search.live.empty()) advance(search, logits, o_, model_.config.end_id);
    if (std::ranges::all_of(searches, [](const CaptionSearch& s) { return s.live.empty(); })) break;
    if (ctx_.device == Device::cuda && steps == nullptr) steps = &begin(searches, cache);
    logits = steps != nullptr ? step(searches, *steps) : grow(searches, cache);
  }
  std::vector<Decoded> out;
  for (const CaptionSearch& s : searches) out.push_back(s.done.front().text);  // the best, see finished()
  return out;
}

std::vector<Decoded> ClipCap::decode(const Context& ctx, const Tensor& embeddings,
                                     const DecodeOptions& options) {
  return CaptionDecoder(ctx, *this, options).decode(embeddings);
}

std::vector<Decoded> ClipCap::decode_prefix(const Context& ctx, const Tensor& prefixes,
                                            const DecodeOptions& options) {
  return CaptionDecoder(ctx, *this, options).decode_prefix(prefixes);
}

}  // namespace gmail
