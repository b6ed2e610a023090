// What a piece of work costs the device: the time between two moments of a stream, and the memory in use.
#pragma once

#include <memory>

#include "core/context.h"

namespace gmail {

namespace cuda {  // cuda/timer.cu
class Moment;
void mark(std::shared_ptr<Moment>& moment, Stream stream);  // when the stream has done all it has by now
[[nodiscard]] double milliseconds(const Moment& from, const Moment& to);  // waits for `to`

struct MemoryUse {
  size_t bytes = 0, peak = 0;  // allocated now, and at most since reset_peak()
};
[[nodiscard]] MemoryUse memory_use();  // cuda/runtime.cu
void reset_peak();
void release_temporaries();  // scratch memory that no op uses now, cuda/temporary.cu
}  // namespace cuda

// Between start() and stop() the caller gives work to the context's stream. For CUDA contexts alone.
class DeviceTimer {
 public:
  explicit DeviceTimer(const Context& ctx);
  void start();
  [[nodiscard]] double stop();  // waits for the work; milliseconds

 private:
  Stream stream_;
  std::shared_ptr<cuda::Moment> from_, to_;
};

// Starts to count the peak anew, with nothing but live tensors in memory; and its bytes since then.
void begin_memory_peak(const Context& ctx);
[[nodiscard]] size_t memory_peak();

}  // namespace gmail
