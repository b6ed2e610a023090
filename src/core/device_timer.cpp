#include "core/device_timer.h"

#include "core/dispatch.h"

namespace gmail {

DeviceTimer::DeviceTimer(const Context& ctx) : stream_(ctx.stream) {
  GMAIL_CHECK(ctx.device == Device::cuda, "[timer] a device's clock, and the context is of the CPU");
}

void DeviceTimer::start() { GMAIL_CUDA_ONLY(mark(from_, stream_)); }

double DeviceTimer::stop() {
  GMAIL_CHECK(from_ != nullptr, "[timer] stopped before it was started");
  GMAIL_CUDA_ONLY(mark(to_, stream_));
  return GMAIL_CUDA_OR(milliseconds(*from_, *to_), 0.0);
}

void begin_memory_peak(const Context& ctx) {
  ctx.arena->release_cache();
  GMAIL_CUDA_ONLY(release_temporaries());
  GMAIL_CUDA_ONLY(reset_peak());
}

size_t memory_peak() { return GMAIL_CUDA_OR(memory_use(), cuda::MemoryUse{}).peak; }

}  // namespace gmail
