#include "core/recorded.h"

#include "core/dispatch.h"

namespace gmail {

RecordedWork::RecordedWork(const Context& ctx, bool record)
    : ctx_(ctx), record_(record && ctx.device == Device::cuda) {
  if (record_) ctx_.arena = std::make_shared<Arena>(ctx.device);
}

void RecordedWork::run(int64_t key, const std::function<void(const Context&)>& work) {
  if (!record_) return work(ctx_);
  const auto [place, first] = graphs_.try_emplace(key);
  auto& graph = place->second;
  if (first) return work(ctx_);
  if (!graph) GMAIL_CUDA_ONLY(capture(graph, ctx_.stream, [&] { work(ctx_); }));
  GMAIL_CUDA_ONLY(replay(*graph, ctx_.stream));
}

}  // namespace gmail
