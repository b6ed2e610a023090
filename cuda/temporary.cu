#include "temporary.h"

#include <map>
#include <mutex>

#include "core/device_memory.h"
#include "core/device_timer.h"
#include "core/kept_copy.h"

namespace gmail::cuda {

namespace {
struct Arenas {
  std::mutex mutex;
  std::map<void*, std::shared_ptr<Arena>> of_stream;
};
Arenas& arenas() {
  static Arenas all;
  return all;
}
}  // namespace

Tensor temporary(const Shape& shape, DType dtype, Stream stream) {
  Arenas& all = arenas();
  const std::lock_guard lock(all.mutex);
  auto& arena = all.of_stream[stream.handle];
  if (!arena) arena = std::make_shared<Arena>(Device::cuda);
  return Tensor::empty(shape, dtype, Device::cuda, arena);
}

void release_temporaries() {
  Arenas& all = arenas();
  const std::lock_guard lock(all.mutex);
  for (const auto& [stream, arena] : all.of_stream) arena->release_cache();
}

// Of a constant storage's tensor a copy that is kept, finished before any stream may read it.
Tensor in_type(const Tensor& t, DType type, Stream stream) {
  if (!t || t.dtype() == type) return t;
  const Tensor kept = kept_copy(t, "converted", type, [&] {
    Tensor made = Tensor::empty(t.shape(), type, Device::cuda);
    convert(made.raw(), type, t.raw(), t.dtype(), t.numel(), stream);
    wait_for(stream);
    return made;
  });
  if (kept) return kept;
  Tensor copy = temporary(t.shape(), type, stream);
  convert(copy.raw(), type, t.raw(), t.dtype(), t.numel(), stream);
  return copy;
}

}  // namespace gmail::cuda
