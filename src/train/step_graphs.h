// The kernels of a training step as CUDA graphs.
#pragma once

#include <map>

#include "core/recorded.h"
#include "train/trainer.h"

namespace gmail {

class StepGraphs {
 public:
  explicit StepGraphs(const Context& ctx) : recorded_(ctx, true) {}

  // Steps with one key are one graph: see core/recorded.h.
  StepResult run(int64_t key, const std::function<StepResult(const Context&)>& work);

 private:
  RecordedWork recorded_;
  std::map<int64_t, StepResult> results_;  // their numbers lie outside the arena
};

}  // namespace gmail
