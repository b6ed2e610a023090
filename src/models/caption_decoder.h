// Captions by the rules of models/caption_search.h, for batch after batch. On the CPU the cache has a row
// for each open beam and grows; on a GPU it has a fixed size and a row for each beam of each image
// (models/gpt2_steps.h), so that its steps can be CUDA graphs, which the next batch of the same size uses
// again.
#pragma once

#include <map>
#include <memory>

#include "models/clipcap.h"
#include "models/gpt2_steps.h"

namespace gmail {

class CaptionDecoder {
 public:
  CaptionDecoder(const Context& ctx, ClipCap& model, const DecodeOptions& options);  // both outlive it
  [[nodiscard]] std::vector<Decoded> decode(const Tensor& embeddings);               // (B, clip_dim)
  [[nodiscard]] std::vector<Decoded> decode_prefix(const Tensor& prefixes);          // (B, k, C)

 private:
  using Searches = std::vector<CaptionSearch>;
  [[nodiscard]] std::vector<Decoded> search(const Tensor& prefixes, const std::vector<uint64_t>& streams);
  // the logits after the newest token of every open beam; beam.row becomes its row in them
  [[nodiscard]] Tensor grow(Searches& searches, KvCache& cache) const;
  [[nodiscard]] Tensor read_again(Searches& searches, const Tensor& prefixes) const;
  [[nodiscard]] Tensor step(Searches& searches, Gpt2Steps& steps) const;
  [[nodiscard]] Gpt2Steps& begin(Searches& searches, const KvCache& prefix);
  [[nodiscard]] Tensor last_logits(Tape& tape, const Var& hidden) const;

  const Context& ctx_;
  ClipCap& model_;
  const DecodeOptions o_;
  std::map<int64_t, std::unique_ptr<Gpt2Steps>> steps_;  // by rows
};

}  // namespace gmail
