// Memory. Three lifetimes, three places:
//   parameters, gradients, moments   Tensor::zeros(...): the heap, for as long as somebody holds them
//   step tensors                     an Arena: exact-size free lists, filled again by the tensors'
//     destructors
//   scratch                          Scratch<T>: a stack that lives inside one op
// At the end of a training step `arena.live()` must be what it was before: a leak check for free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/device_memory.h"

namespace gmail {

class Arena {
 public:
  explicit Arena(Device device = Device::cpu) : device_(device) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  [[nodiscard]] AlignedBytes take(size_t bytes);  // contents undefined
  void give_back(AlignedBytes block, size_t bytes);

  [[nodiscard]] int64_t live() const { return live_; }             // blocks taken and not yet returned
  [[nodiscard]] size_t peak_bytes() const { return peak_bytes_; }  // most bytes live at one time
  void release_cache();                                            // frees what nobody uses now

 private:
  const Device device_;
  std::mutex mutex_;
  std::map<size_t, std::vector<AlignedBytes>> free_;
  int64_t live_ = 0;
  size_t live_bytes_ = 0, peak_bytes_ = 0;
};

// n scalars of scratch memory on this thread's stack of buffers; contents undefined.
class ScratchBytes {
 public:
  explicit ScratchBytes(size_t bytes);
  ~ScratchBytes();
  ScratchBytes(const ScratchBytes&) = delete;
  ScratchBytes& operator=(const ScratchBytes&) = delete;
  [[nodiscard]] std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
};

template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t n) : bytes_(static_cast<size_t>(n) * sizeof(T)) {}
  [[nodiscard]] T* data() const { return reinterpret_cast<T*>(bytes_.data()); }
  T& operator[](int64_t i) const { return data()[i]; }

 private:
  ScratchBytes bytes_;
};

}  // namespace gmail
