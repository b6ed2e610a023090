#include "models/caption_decoder.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/parallel_for.h"
#include "core/rng.h"

namespace gmail {
namespace {

// What names the random numbers of a row: its bytes, not its place.
std::vector<uint64_t> streams_of(const Tensor& rows) {
  const Tensor x = rows.to(Device::cpu).to(DType::float32);
  const auto bytes = std::as_bytes(x.span<float>());
  const size_t size = bytes.size() / static_cast<size_t>(x.size(0));
  std::vector<uint64_t> streams;
  for (size_t i = 0; i < bytes.size(); i += size)
    streams.push_back(stream_index({reinterpret_cast<const char*>(bytes.data()) + i, size}));
  return streams;
}

// f(i, beam, row): the open beams of all images, by image, numbered
template <class Searches, class F>
void each_open(Searches& searches, F&& f) {
  int64_t row = 0;
  for (size_t i = 0; i < searches.size(); ++i) {
    if (searches[i].over) continue;
    for (CaptionBeam& beam : searches[i].beams)
      if (!beam.ended) f(static_cast<int64_t>(i), beam, row++);
  }
}

}  // namespace

CaptionDecoder::CaptionDecoder(const Context& ctx, ClipCap& model, const DecodeOptions& options)
    : ctx_(ctx), model_(model), o_(options) {
  o_.check();
}

// As many rows as there are open beams, the cache grows by a token a step.
Tensor CaptionDecoder::grow(Searches& searches, KvCache& cache) const {
  std::vector<int64_t> rows;
  std::vector<int32_t> tokens;
  each_open(searches, [&](int64_t, CaptionBeam& beam, int64_t row) {
    rows.push_back(beam.row);
    tokens.push_back(beam.text.tokens.back());
    beam.row = row;
  });
  Tape tape(ctx_, false);
  cache = cache.select(tape, rows);
  const auto n = static_cast<int64_t>(tokens.size());
  const Tensor ids = ctx_.here(Tensor::from(tokens, {n, 1}));
  return last_logits(tape, model_.gpt.hidden(tape, model_.gpt.embed(tape, ids), &cache));
}

// Without a cache: prefix and all tokens of every open beam.
Tensor CaptionDecoder::read_again(Searches& searches, const Tensor& prefixes) const {
  std::vector<int64_t> images;
  std::vector<int32_t> tokens;
  each_open(searches, [&](int64_t i, CaptionBeam& beam, int64_t row) {
    images.push_back(i);
    tokens.insert(tokens.end(), beam.text.tokens.begin(), beam.text.tokens.end());
    beam.row = row;
  });
  Tape tape(ctx_, false);
  const KvCache prefix = KvCache{{prefixes}, {prefixes}}.select(tape, images);
  const auto n = static_cast<int64_t>(images.size());
  const Tensor ids = ctx_.here(Tensor::from(tokens, {n, std::ssize(tokens) / n}));
  const Var text = concat(tape, {Var(prefix.k.front()), model_.gpt.embed(tape, ids)}, 1);
  return last_logits(tape, model_.gpt.hidden(tape, text));
}

// An image has rows for all its beams from the first step on; those that are not open repeat token 0.
Tensor CaptionDecoder::step(Searches& searches, Gpt2Steps& steps) const {
  std::vector<int32_t> tokens(static_cast<size_t>(steps.rows()), 0), source(tokens.size());
  std::iota(source.begin(), source.end(), 0);
  for (size_t i = 0; i < searches.size(); ++i)
    for (size_t b = 0; b < searches[i].beams.size() && !searches[i].over; ++b) {
      CaptionBeam& beam = searches[i].beams[b];
      if (beam.ended) continue;
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
    for (CaptionBeam& beam : searches[static_cast<size_t>(i)].beams) beam.row = i * o_.beams;
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
  return search(model_.prefix(tape, Var(embeddings)).value, streams_of(embeddings));
}

std::vector<Decoded> CaptionDecoder::decode_prefix(const Tensor& prefixes) {
  return search(prefixes, streams_of(prefixes));
}

std::vector<Decoded> CaptionDecoder::search(const Tensor& prefixes, const std::vector<uint64_t>& streams) {
  const ClipCapConfig& config = model_.config;
  const int64_t B = prefixes.size(0), k = prefixes.size(1), positions = config.gpt.n_positions;
  GMAIL_INPUT(k + o_.max_length <= positions, "[decode] max length ", o_.max_length, ": the captioner has ",
              positions - k, " positions");
  Tape tape(ctx_, false);
  KvCache cache;
  Tensor logits = last_logits(tape, model_.gpt.hidden(tape, Var(prefixes), o_.cache ? &cache : nullptr));
  Searches searches(static_cast<size_t>(B));
  for (size_t i = 0; i < searches.size(); ++i) {
    searches[i].beams.front().row = static_cast<int64_t>(i);
    searches[i].stream = streams[i];
  }
  Gpt2Steps* steps = nullptr;
  for (;;) {
    const std::span<const float> all = std::as_const(logits).span<float>();
    parallel_for(B, 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
        if (!searches[i].over) advance(searches[i], all, config.gpt.vocab_size, o_, config.end_id);
    });
    if (std::ranges::all_of(searches, &CaptionSearch::over)) break;
    if (!o_.cache) {
      logits = read_again(searches, prefixes);
      continue;
    }
    if (ctx_.device == Device::cuda && steps == nullptr) steps = &begin(searches, cache);
    logits = steps != nullptr ? step(searches, *steps) : grow(searches, cache);
  }
  std::vector<Decoded> out;
  for (const CaptionSearch& s : searches) out.push_back(s.done.front().text);
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
