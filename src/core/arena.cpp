#include "core/arena.h"

#include <algorithm>

namespace gmail {

AlignedBytes Arena::take(size_t bytes) {
  const std::lock_guard lock(mutex_);
  ++live_;
  live_bytes_ += bytes;
  peak_bytes_ = std::max(peak_bytes_, live_bytes_);
  auto& list = free_[bytes];
  if (list.empty()) return aligned_bytes(bytes, device_);
  AlignedBytes block = std::move(list.back());
  list.pop_back();
  return block;
}

void Arena::give_back(AlignedBytes block, size_t bytes) {
  const std::lock_guard lock(mutex_);
  --live_;
  live_bytes_ -= bytes;
  free_[bytes].push_back(std::move(block));
}

void Arena::release_cache() {
  const std::lock_guard lock(mutex_);
  free_.clear();
}

namespace {
// One stack a thread: buffers keep their size from use to use, so a steady state allocates nothing.
struct ScratchStack {
  struct Buffer {
    AlignedBytes memory;
    size_t size = 0;
  };
  std::vector<Buffer> buffers;
  size_t depth = 0;
};
ScratchStack& scratch_stack() {
  thread_local ScratchStack stack;
  return stack;
}
}  // namespace

ScratchBytes::ScratchBytes(size_t bytes) {
  ScratchStack& stack = scratch_stack();
  if (stack.depth == stack.buffers.size()) stack.buffers.emplace_back();
  auto& buffer = stack.buffers[stack.depth++];
  if (buffer.size < bytes || !buffer.memory) {
    buffer.memory.reset();
    buffer.memory = aligned_bytes(bytes);
    buffer.size = bytes;
  }
  data_ = buffer.memory.get();
}

ScratchBytes::~ScratchBytes() { --scratch_stack().depth; }

}  // namespace gmail
