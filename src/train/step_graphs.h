// The kernels of a training step as CUDA graphs: one launch instead of hundreds. A graph holds the addresses
// of its tensors, so the step's inputs stay in their places, and what it computes lies in an arena of its
// own.
#pragma once

#include <map>

#include "core/device_memory.h"
#include "train/trainer.h"

namespace gmail {

class StepGraphs {
 public:
  explicit StepGraphs(const Context& ctx) : ctx_(ctx) { ctx_.arena = std::make_shared<Arena>(ctx.device); }

  // Steps with one key are one graph. The first of them is done plainly and so allocates what it needs, the
  // second is recorded and launched, the others are launched.
  StepResult run(int64_t key, const std::function<StepResult(const Context&)>& work);

 private:
  struct Entry {
    std::shared_ptr<cuda::CapturedGraph> graph;
    StepResult result;  // its numbers lie outside the arena: the next graph uses the same memory
  };
  void plainly(Entry& entry, const std::function<StepResult(const Context&)>& work) const;
  Context ctx_;
  std::map<int64_t, Entry> entries_;
};

}  // namespace gmail
