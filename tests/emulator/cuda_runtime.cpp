// The runtime's functions on the CPU. A stream does its work at once, so waiting is nothing to do, unless a
// graph records it: then the work is kept, and done with each launch of the graph.
#include <cuda_runtime.h>

#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <vector>

using Work = std::vector<std::function<void()>>;
struct emulator_stream {};
struct emulator_graph {
  Work work;
};
struct emulator_graph_exec {
  Work work;
};
struct emulator_event {
  std::chrono::steady_clock::time_point time;
};

namespace {
constexpr size_t kMemory = size_t{8} << 30U;
struct Memory {
  std::map<void*, size_t> blocks;
  size_t free = kMemory;
};
Memory& memory() {  // never destroyed, as a device
  static Memory* const m = std::make_unique<Memory>().release();
  return *m;
}
}  // namespace

namespace {
struct Runtime {
  emulator::Counts counts;
  std::map<const void*, size_t> pinned;
  emulator_stream* recorded = nullptr;  // the stream whose work a graph records
  Work work;
};
Runtime& runtime() {
  static Runtime* const r = std::make_unique<Runtime>().release();
  return *r;
}
bool recording() { return runtime().recorded != nullptr; }
bool is_pinned(const void* p) {
  const auto after = runtime().pinned.upper_bound(p);
  if (after == runtime().pinned.begin()) return false;
  const auto& [begin, bytes] = *std::prev(after);
  return static_cast<const std::byte*>(p) < static_cast<const std::byte*>(begin) + bytes;
}
std::chrono::steady_clock::duration passed{};
bool virtual_clock = false;
size_t shared_bytes = size_t{227} << 10U;  // that a block can have
bool says_capturing = false;               // whatever a stream does
}  // namespace

namespace emulator {
void set_free_memory(size_t bytes) { memory().free = bytes; }
size_t shared_memory() { return shared_bytes; }
void set_shared_memory(size_t bytes) { shared_bytes = bytes; }
const Counts& counts() { return runtime().counts; }
void enqueue(void* stream, std::function<void()> work) {
  Runtime& r = runtime();
  if (stream == nullptr) {
    ++r.counts.on_default_stream;
    if (recording()) throw Failure("work on the default stream while a graph records another");
  }
  if (stream != nullptr && stream == r.recorded)
    r.work.push_back(std::move(work));
  else
    work();
}
void pass_time(double ms) {
  passed += std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double, std::milli>(ms));
}
void set_virtual_clock(bool on) { virtual_clock = on; }
void set_capturing(bool on) { says_capturing = on; }
}  // namespace emulator

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
  }
  return "?";
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return cudaErrorInvalidValue;
  *properties = {"emulator", kMemory, 9, 0, 2};
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = static_cast<int>(shared_bytes);
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidValue; }

// cudaMalloc aligns to 256 bytes. The block ends where the request ends, for AddressSanitizer.
cudaError_t cudaMalloc(void** address, size_t bytes) {
  if (recording()) return cudaErrorStreamCaptureUnsupported;
  if (bytes > memory().free) return cudaErrorMemoryAllocation;
  ++runtime().counts.allocations;
  void* p = nullptr;
  if (posix_memalign(&p, 256, bytes > 0 ? bytes : 1) != 0) return cudaErrorMemoryAllocation;
  std::memset(p, 0xff, bytes);
  memory().free -= bytes;
  memory().blocks[p] = bytes;
  *address = p;
  return cudaSuccess;
}
cudaError_t cudaFree(void* address) {
  if (address == nullptr) return cudaSuccess;
  const auto found = memory().blocks.find(address);
  if (found == memory().blocks.end()) return cudaErrorInvalidValue;
  memory().free += found->second;
  memory().blocks.erase(found);
  std::free(address);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *free = memory().free;
  *total = kMemory;
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** address, size_t bytes) {
  if (recording()) return cudaErrorStreamCaptureUnsupported;
  ++runtime().counts.allocations;
  *address = ::operator new(bytes, std::nothrow);
  runtime().pinned[*address] = bytes;
  return *address != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* address) {
  runtime().pinned.erase(address);
  ::operator delete(address);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (kind != cudaMemcpyDeviceToDevice && !is_pinned(kind == cudaMemcpyHostToDevice ? from : to))
    ++runtime().counts.pageable_copies;
  emulator::enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  emulator::enqueue(stream, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = new emulator_stream;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  ++runtime().counts.synchronisations;
  return recording() ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() { return cudaStreamSynchronize(nullptr); }
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new emulator_event;
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return cudaEventCreate(event); }
cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->time =
      virtual_clock ? std::chrono::steady_clock::time_point(passed) : std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t begin, cudaEvent_t end) {
  *ms = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream == nullptr || recording()) return cudaErrorStreamCaptureUnsupported;
  runtime().recorded = stream;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (stream == nullptr || stream != runtime().recorded) return cudaErrorInvalidValue;
  runtime().recorded = nullptr;
  *graph = new emulator_graph{std::move(runtime().work)};
  runtime().work.clear();
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const bool records = recording() && stream == runtime().recorded;
  *status = records || says_capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new emulator_graph_exec{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  if (recording()) return cudaErrorStreamCaptureUnsupported;
  ++runtime().counts.graphs;
  for (const auto& work : exec->work) emulator::enqueue(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
