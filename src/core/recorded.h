// Work that is done again and again from the same tensors, as CUDA graphs: one launch instead of hundreds. A
// graph holds the addresses of its tensors, so the inputs stay in their places (Context::put), and what the
// work computes lies in an arena of its own; its results it puts outside of that, since the next graph uses
// the same memory.
#pragma once

#include <map>

#include "core/context.h"
#include "core/device_memory.h"

namespace gmail {

class RecordedWork {
 public:
  // `record`: else, and on the CPU, the work is done as it stands
  RecordedWork(const Context& ctx, bool record);

  // Work with one key is one graph. The first time it is done plainly and so allocates what it needs, the
  // second time it is recorded and launched, then launched. No copy from or to the host.
  void run(int64_t key, const std::function<void(const Context&)>& work);

 private:
  Context ctx_;
  const bool record_;
  std::map<int64_t, std::shared_ptr<cuda::CapturedGraph>> graphs_;
};

}  // namespace gmail
