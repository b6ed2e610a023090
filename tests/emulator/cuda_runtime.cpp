// The runtime's functions on the CPU. A stream does its work at once, so waiting is nothing to do.
#include <cuda_runtime.h>

#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <new>

struct emulator_stream {};
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

namespace emulator {
void set_free_memory(size_t bytes) { memory().free = bytes; }
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
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidValue; }

// cudaMalloc aligns to 256 bytes. The block ends where the request ends, for AddressSanitizer.
cudaError_t cudaMalloc(void** address, size_t bytes) {
  if (bytes > memory().free) return cudaErrorMemoryAllocation;
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
  *address = ::operator new(bytes, std::nothrow);
  return *address != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* address) {
  ::operator delete(address);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t) {
  std::memset(to, value, bytes);
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
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new emulator_event;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->time = std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t begin, cudaEvent_t end) {
  *ms = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return cudaSuccess;
}
