#include "train/step_graphs.h"

#include "core/dispatch.h"

namespace gmail {

void StepGraphs::plainly(Entry& entry, const std::function<StepResult(const Context&)>& work) const {
  const StepResult result = work(ctx_);
  entry.result.items = result.items;
  ctx_.put(entry.result.loss, result.loss);
  for (const auto& [name, logged] : result.extra) {
    Logged& kept = entry.result.extra[name];
    ctx_.put(kept.value, logged.value);
    kept.of = logged.of;
  }
}

StepResult StepGraphs::run(int64_t key, const std::function<StepResult(const Context&)>& work) {
  const auto [place, first] = entries_.try_emplace(key);
  Entry& entry = place->second;
  if (first) {
    plainly(entry, work);
    return entry.result;
  }
  if (!entry.graph) GMAIL_CUDA_ONLY(capture(entry.graph, ctx_.stream, [&] { plainly(entry, work); }));
  GMAIL_CUDA_ONLY(replay(*entry.graph, ctx_.stream));
  return entry.result;
}

}  // namespace gmail
