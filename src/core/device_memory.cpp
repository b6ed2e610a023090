#include "core/device_memory.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/dispatch.h"

namespace gmail {

std::string why_no_cuda() {
  return GMAIL_CUDA_OR(why_unusable(), std::string("this build has no CUDA backend (see gmail --version)"));
}

std::string why_not_cuda_by_default() {
  const bool emulated = GMAIL_CUDA_OR(is_emulated(), false);
  return emulated ? "the CUDA device of this build is an emulator" : why_no_cuda();
}

std::string cuda_description() {
  return why_no_cuda().empty() ? GMAIL_CUDA_OR(description(), std::string()) : std::string();
}

bool has_cuda_backend() { return kCudaBackend; }

void FreeBytes::operator()(void* p) const {
  if (device == Device::cuda)
    GMAIL_CUDA_ONLY(release(p));
  else
    ::operator delete (p, std::align_val_t{kAlignment});
}

AlignedBytes aligned_bytes(size_t bytes, Device device) {
  const size_t rounded = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  void* p = nullptr;
  if (device == Device::cuda)
    p = GMAIL_CUDA_ONLY(allocate(bytes));
  else
    p = ::operator new (rounded, std::align_val_t{kAlignment});
  return {static_cast<std::byte*>(p), FreeBytes{device}};
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  if (to_device == Device::cpu && from_device == Device::cpu)
    std::memmove(to, from, bytes);
  else
    GMAIL_CUDA_ONLY(copy(to, to_device, from, from_device, bytes));
}

void zero_bytes(void* p, Device device, size_t bytes) {
  if (device == Device::cpu)
    std::memset(p, 0, bytes);
  else
    GMAIL_CUDA_ONLY(zero(p, bytes));
}

}  // namespace gmail
