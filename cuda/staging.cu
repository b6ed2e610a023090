// Pinned host memory, the only kind that a GPU copies from and to while the CPU goes on. A block is in use
// until the stream has made its copy, which its event tells; then the next copy of that size takes it.
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "core/device_memory.h"
#include "launch.h"

namespace gmail::cuda {

class Pinned {
 public:
  explicit Pinned(size_t size) : bytes(size) {
    CUDA_CHECK(cudaMallocHost(&memory, bytes));
    CUDA_CHECK(cudaEventCreateWithFlags(&copied, cudaEventDisableTiming));
  }
  ~Pinned() {  // at the end of the process, or after an error
    (void)cudaEventDestroy(copied);
    (void)cudaFreeHost(memory);
  }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  [[nodiscard]] bool done() const { return cudaEventQuery(copied) == cudaSuccess; }
  void wait() const { CUDA_CHECK(cudaEventSynchronize(copied)); }

  size_t bytes;
  void* memory = nullptr;
  cudaEvent_t copied = nullptr;
};

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kEnough = size_t{256} << 20U;  // bytes of one size; beyond them a copy waits for another

// The blocks of one stream by size, each list in the order of their copies.
class Blocks {
 public:
  [[nodiscard]] std::shared_ptr<Pinned> take(size_t bytes) {
    const size_t size = (bytes + kPage - 1) / kPage * kPage;
    const std::lock_guard lock(mutex_);
    auto& list = blocks_[size];
    if (!list.empty() && !list.front()->done() && list.size() >= 2 && list.size() * size >= kEnough)
      list.front()->wait();
    if (list.empty() || !list.front()->done()) return std::make_shared<Pinned>(size);
    std::shared_ptr<Pinned> block = std::move(list.front());
    list.pop_front();
    return block;
  }
  void give_back(std::shared_ptr<Pinned> block) {
    const std::lock_guard lock(mutex_);
    blocks_[block->bytes].push_back(std::move(block));
  }

 private:
  std::mutex mutex_;
  std::map<size_t, std::deque<std::shared_ptr<Pinned>>> blocks_;
};

Blocks& blocks_of(Stream stream) {  // never destroyed: at the end of the process the driver goes first
  static std::mutex mutex;
  static auto* const streams = std::make_unique<std::map<void*, Blocks>>().release();
  const std::lock_guard lock(mutex);
  return (*streams)[stream.handle];
}

// A graph would repeat the copy of a block that by then holds something else.
void check_no_graph(Stream stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  CUDA_CHECK(cudaStreamIsCapturing(raw(stream), &status));
  GMAIL_CHECK(status == cudaStreamCaptureStatusNone,
              "[cuda graph] a copy between host and device inside a graph: the host's part of a step comes "
              "before it");
}

}  // namespace

void upload(void* to, const void* from, size_t bytes, Stream stream) {
  if (bytes == 0) return;
  check_no_graph(stream);
  Blocks& blocks = blocks_of(stream);
  std::shared_ptr<Pinned> block = blocks.take(bytes);
  std::memcpy(block->memory, from, bytes);
  CUDA_CHECK(cudaMemcpyAsync(to, block->memory, bytes, cudaMemcpyHostToDevice, raw(stream)));
  CUDA_CHECK(cudaEventRecord(block->copied, raw(stream)));
  blocks.give_back(std::move(block));
}

void copy_on(void* to, const void* from, size_t bytes, Stream stream) {
  if (bytes > 0) CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, raw(stream)));
}

void download(std::shared_ptr<Pinned>& copy, const void* from, size_t bytes, Stream stream) {
  check_no_graph(stream);
  Blocks& blocks = blocks_of(stream);
  std::shared_ptr<Pinned> block = blocks.take(bytes);
  CUDA_CHECK(cudaMemcpyAsync(block->memory, from, bytes, cudaMemcpyDeviceToHost, raw(stream)));
  CUDA_CHECK(cudaEventRecord(block->copied, raw(stream)));
  Pinned* const p = block.get();  // it goes back with the last of its readers
  copy = std::shared_ptr<Pinned>(p, [&blocks, block](Pinned*) { blocks.give_back(block); });
}

void* arrived(Pinned& copy) {
  copy.wait();
  return copy.memory;
}

}  // namespace gmail::cuda
