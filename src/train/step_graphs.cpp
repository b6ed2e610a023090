#include "train/step_graphs.h"

namespace gmail {

StepResult StepGraphs::run(int64_t key, const std::function<StepResult(const Context&)>& work) {
  StepResult& kept = results_[key];
  recorded_.run(key, [&](const Context& ctx) {
    const StepResult result = work(ctx);
    kept.items = result.items;
    ctx.put(kept.loss, result.loss);
    for (const auto& [name, logged] : result.extra) {
      Logged& there = kept.extra[name];
      ctx.put(there.value, logged.value);
      there.of = logged.of;
    }
  });
  return kept;
}

}  // namespace gmail
