#include "temporary.h"

#include <map>
#include <mutex>

#include "core/device_memory.h"

namespace gmail::cuda {

Tensor temporary(const Shape& shape, DType dtype, Stream stream) {
  static std::mutex mutex;
  static std::map<void*, std::shared_ptr<Arena>> arenas;
  const std::lock_guard lock(mutex);
  auto& arena = arenas[stream.handle];
  if (!arena) arena = std::make_shared<Arena>(Device::cuda);
  return Tensor::empty(shape, dtype, Device::cuda, arena);
}

Tensor in_type(const Tensor& t, DType type, Stream stream) {
  if (!t || t.dtype() == type) return t;
  Tensor copy = temporary(t.shape(), type, stream);
  convert(copy.raw(), type, t.raw(), t.dtype(), t.numel(), stream);
  return copy;
}

}  // namespace gmail::cuda
