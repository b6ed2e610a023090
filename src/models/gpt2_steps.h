// GPT-2 one token at a time for a fixed number of texts: keys and values lie in caches of fixed
// size (ops/kv_cache.h), so that a step is the same kernels with the same arguments at every position, which
// a CUDA graph can record. Where rows move (beams), each step reads one cache and writes the other, so there
// are two graphs, of the even and the odd steps; else one.
#pragma once

#include "core/recorded.h"
#include "models/gpt2.h"

namespace gmail {

class Gpt2Steps {
 public:
  // R rows of at most T positions; gpt must outlive it
  Gpt2Steps(const Context& ctx, Gpt2& gpt, int64_t R, int64_t T, bool rows_move, bool record);

  // row r continues row source[r] of the cache of what came before
  void begin(const KvCache& prefix, const std::vector<int32_t>& source);
  // Token r is appended to what row source[r] holds (without rows_move: to row r). Returns the logits of the
  // next token, (R, V) float32 on the CPU: the one thing that the host waits for.
  [[nodiscard]] Tensor step(const std::vector<int32_t>& tokens, const std::vector<int32_t>& source);
  [[nodiscard]] int64_t rows() const { return R_; }

 private:
  void compute(const Context& ctx, KvCache& to, const KvCache* from);

  const Context& ctx_;
  Gpt2& gpt_;
  const int64_t R_;
  KvCache cache_[2];                          // each (R, T, C) a layer; the second one if rows move
  Tensor tokens_, source_, position_, seen_;  // (R, 1), (R), (1), (R, T) int32: of the step
  Tensor logits_;                             // (R, V)
  int64_t length_ = 0, steps_ = 0;
  const bool rows_move_;
  RecordedWork recorded_;
};

}  // namespace gmail
