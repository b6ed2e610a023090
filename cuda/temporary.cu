#include "temporary.h"

#include <map>
#include <mutex>
#include <tuple>

#include "core/device_memory.h"
#include "core/device_timer.h"

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

namespace {

// Converted copies of a constant storage's tensors, known by their place; they live as long as the storage.
struct Converted {
  std::mutex mutex;
  std::map<std::tuple<int64_t, int64_t, DType, DType>, Tensor> copies;
};

constexpr size_t kSlot = 1;  // of Storage::derived

std::shared_ptr<Converted> converted_of(Storage& storage) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::shared_ptr<const void>& slot = storage.derived[kSlot];
  if (!slot) slot = std::make_shared<Converted>();
  return std::const_pointer_cast<Converted>(std::static_pointer_cast<const Converted>(slot));
}

// Made once, and finished before any stream may read it.
Tensor kept_copy(const Tensor& t, DType type, Stream stream) {
  const std::shared_ptr<Converted> kept = converted_of(t.storage());
  const std::lock_guard lock(kept->mutex);
  Tensor& copy = kept->copies[{t.raw() - t.storage().data(), t.numel(), t.dtype(), type}];
  if (!copy) {
    const Tensor made = Tensor::empty(t.shape(), type, Device::cuda);
    convert(made.raw(), type, t.raw(), t.dtype(), t.numel(), stream);
    wait_for(stream);
    copy = made;
  }
  return copy.reshape(t.shape());
}

}  // namespace

Tensor in_type(const Tensor& t, DType type, Stream stream) {
  if (!t || t.dtype() == type) return t;
  if (t.storage().constant) return kept_copy(t, type, stream);
  Tensor copy = temporary(t.shape(), type, stream);
  convert(copy.raw(), type, t.raw(), t.dtype(), t.numel(), stream);
  return copy;
}

}  // namespace gmail::cuda
