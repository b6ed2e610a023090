#include "models/gpt2_steps.h"

#include "core/dispatch.h"
#include "ops/kv_cache.h"

namespace gmail {

Gpt2Steps::Gpt2Steps(const Context& ctx, Gpt2& gpt, int64_t R, int64_t T, bool rows_move, bool record)
    : ctx_(ctx), gpt_(gpt), R_(R), rows_move_(rows_move), recorded_(ctx, record) {
  GMAIL_CHECK(T <= gpt.config.n_positions, "[gpt2] ", T, " positions, the model has ",
              gpt.config.n_positions);
  seen_ = Tensor::zeros({R, T}, DType::int32, ctx.device);
  for (KvCache& cache : cache_) {
    if (&cache != cache_ && !rows_move) break;
    for (size_t i = 0; i < gpt.h.size(); ++i) {  // zeros: what is not seen yet must be finite
      cache.k.push_back(Tensor::zeros({R, T, gpt.config.n_embd}, ctx.precision, ctx.device));
      cache.v.push_back(Tensor::zeros({R, T, gpt.config.n_embd}, ctx.precision, ctx.device));
    }
  }
}

void Gpt2Steps::begin(const KvCache& prefix, const std::vector<int32_t>& source) {
  length_ = prefix.length();
  steps_ = 0;
  ctx_.put(source_, Tensor::from(source, {R_}));
  ctx_.put(position_, Tensor::from(std::vector<int32_t>{static_cast<int32_t>(length_)}, {1}));
  for (size_t i = 0; i < prefix.k.size(); ++i) {
    GMAIL_RUN(ctx_, kv_append, cache_[0].k[i], prefix.k[i], source_, Tensor(), position_);
    GMAIL_RUN(ctx_, kv_append, cache_[0].v[i], prefix.v[i], source_, Tensor(), position_);
  }
}

// The step's token of each row, appended to the cache `from` (absent: to `to`) -> logits_
void Gpt2Steps::compute(const Context& ctx, KvCache& to, const KvCache* from) {
  Tape tape(ctx, false);
  GMAIL_RUN(ctx, kv_seen, seen_, position_);
  Var x = add(tape, gpt_.embed(tape, tokens_), embedding(tape, gpt_.wpe.on(tape), position_));  // (R, 1, C)
  for (size_t i = 0; i < gpt_.h.size(); ++i)
    x = gpt_.h[i].forward(tape, x, [&](Var& k, Var& v) -> AttentionMask {
      GMAIL_RUN(ctx, kv_append, to.k[i], from != nullptr ? from->k[i] : Tensor(), source_, k.value,
                position_);
      GMAIL_RUN(ctx, kv_append, to.v[i], from != nullptr ? from->v[i] : Tensor(), source_, v.value,
                position_);
      k = Var(to.k[i]);
      v = Var(to.v[i]);
      return {.causal = false, .keys = seen_};
    });
  const Var last = reshape(tape, gpt_.ln_f.forward(tape, x), {R_, gpt_.config.n_embd});
  ctx.put(logits_, gpt_.logits(tape, last).value);
}

Tensor Gpt2Steps::step(const std::vector<int32_t>& tokens, const std::vector<int32_t>& source) {
  GMAIL_CHECK(length_ < seen_.size(1), "[gpt2] ", length_ + 1, " positions in a cache of ", seen_.size(1));
  ctx_.put(tokens_, Tensor::from(tokens, {R_, 1}));
  if (rows_move_) ctx_.put(source_, Tensor::from(source, {R_}));
  ctx_.put(position_, Tensor::from(std::vector<int32_t>{static_cast<int32_t>(length_)}, {1}));
  const int64_t even = rows_move_ ? steps_ % 2 : 0;
  KvCache& to = cache_[rows_move_ ? 1 - even : 0];
  recorded_.run(even, [&](const Context& ctx) { compute(ctx, to, rows_move_ ? &cache_[even] : nullptr); });
  ++length_;
  ++steps_;
  return logits_.to(Device::cpu).to(DType::float32);
}

}  // namespace gmail
