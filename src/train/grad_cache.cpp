#include "train/grad_cache.h"

#include <algorithm>
#include <cstring>

#include "autograd/functions.h"

namespace gmail {
namespace {

// parts[c][tower] -> one (N, E) tensor for each tower
std::vector<Tensor> stack(const Context& ctx, const std::vector<std::vector<Tensor>>& parts) {
  Tape plain(ctx, false);
  std::vector<Tensor> stacked;
  for (size_t tower = 0; tower < parts[0].size(); ++tower) {
    std::vector<Var> chunks;
    for (const auto& part : parts) chunks.emplace_back(part[tower]);
    stacked.push_back(concat(plain, chunks, 0).value);
  }
  return stacked;
}

}  // namespace

Tensor grad_cached_step(const Context& ctx, int64_t chunks, const EncodeChunk& encode,
                        const BatchLoss& loss) {
  GMAIL_CHECK(chunks >= 1, "[grad_cache] expected chunks, got ", chunks);
  std::vector<std::vector<Tensor>> parts;  // [chunk][tower]
  std::vector<bool> trained;               // [tower]
  for (int64_t c = 0; c < chunks; ++c) {   // (1)
    Tape tape(
        ctx);  // it records, since an op may do otherwise when nobody trains (dropout), and is then dropped
    const std::vector<Var> y = encode(tape, c, false);
    if (c == 0) trained.assign(y.size(), false);
    GMAIL_CHECK(!y.empty() && y.size() == trained.size(), "[grad_cache] chunk ", c, " has ", y.size(),
                " towers");
    parts.emplace_back();
    for (size_t t = 0; t < y.size(); ++t) {
      parts.back().push_back(y[t].value);
      trained[t] = trained[t] || y[t].tracked();
    }
  }

  Tape top(ctx);  // (2)
  std::vector<Var> whole;
  const std::vector<Tensor> stacked = stack(ctx, parts);
  for (size_t t = 0; t < stacked.size(); ++t)
    whole.push_back(trained[t] ? top.input(stacked[t]) : top.constant(stacked[t]));
  const Var l = loss(top, whole);
  if (!l.tracked()) return l.value;
  top.backward(l);

  std::vector<int64_t> at(stacked.size(), 0);
  for (int64_t c = 0; c < chunks; ++c) {  // (3)
    Tape tape(ctx);
    const std::vector<Var> y = encode(tape, c, true);
    GMAIL_CHECK(y.size() == stacked.size(), "[grad_cache] chunk ", c, " has ", y.size(), " towers");
    std::vector<Var> ys;
    std::vector<Tensor> dys;
    for (size_t t = 0; t < y.size(); ++t) {
      const Tensor& first = parts[static_cast<size_t>(c)][t];
      const int64_t begin = at[t];
      at[t] += first.size(0);
      GMAIL_CHECK(y[t] || !trained[t], "[grad_cache] chunk ", c, ": tower ", t, " is trained but absent");
      if (!y[t].tracked()) continue;
      const bool look = ctx.device == Device::cpu;  // the bits; on a GPU that would wait for it
      GMAIL_CHECK(y[t].shape() == first.shape() &&
                      (!look || std::memcmp(y[t].value.raw(), first.raw(), first.bytes()) == 0),
                  "[grad_cache] chunk ", c, ", tower ", t, " was encoded differently the second time");
      const Tensor grad = top.grad(whole[t]);
      if (!grad) continue;
      ys.push_back(y[t]);
      dys.push_back(grad.rows(begin, at[t]));
    }
    if (!ys.empty()) tape.backward(ys, dys);
  }
  return l.value;
}

}  // namespace gmail
