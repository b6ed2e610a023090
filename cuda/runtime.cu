#include <algorithm>
#include <functional>
#include <iomanip>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <vector>

#include "core/device_memory.h"
#include "core/device_timer.h"
#include "device_span.h"
#include "launch.h"

namespace gmail::cuda {

void check(cudaError_t error, const char* call, const char* file, int line) {
  if (error == cudaSuccess) return;
  throw Error(concat("[cuda] ", cudaGetErrorString(error), ": ", call, " (", file, ':', line, ')'));
}

std::string why_unusable() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return concat("no CUDA device can be used: ", cudaGetErrorString(error));
  return count > 0 ? "" : "there is no CUDA device";
}

size_t most_shared() {
  int bytes = 0;
  CUDA_CHECK(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
  return static_cast<size_t>(bytes);
}

bool is_emulated() {
#if GMAIL_EMULATED
  return true;
#else
  return false;
#endif
}

std::string description() {
  cudaDeviceProp p{};
  CUDA_CHECK(cudaGetDeviceProperties(&p, 0));
  std::ostringstream out;
  out << p.name << ", " << std::fixed << std::setprecision(1)
      << static_cast<double>(p.totalGlobalMem) / (size_t{1} << 30U) << " GiB, compute capability " << p.major
      << '.' << p.minor;
  return out.str();
}

// --- memory ---

namespace {
// What this process has taken from the device. The sizes are kept because cudaFree does not tell.
struct Use {
  std::mutex mutex;
  std::map<void*, size_t> blocks;
  size_t bytes = 0, peak = 0;
};
Use& use() {  // never destroyed: tensors of static lifetime give their memory back after main
  static Use* const u = std::make_unique<Use>().release();
  return *u;
}

std::string mib(size_t bytes) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(1) << static_cast<double>(bytes) / (1 << 20U) << " MiB";
  return out.str();
}

// "3 of 512.0 MiB, 1 of 96.0 MiB": the largest kinds of blocks
std::string largest_holders(const Use& u) {
  std::map<size_t, int64_t, std::greater<>> sizes;
  for (const auto& [p, bytes] : u.blocks) ++sizes[bytes];
  std::vector<std::pair<size_t, int64_t>> kinds(sizes.begin(), sizes.end());
  std::stable_sort(kinds.begin(), kinds.end(), [](const auto& a, const auto& b) {
    return a.first * static_cast<size_t>(a.second) > b.first * static_cast<size_t>(b.second);
  });
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(kinds.size(), 5); ++i)
    text += concat(i > 0 ? ", " : "", kinds[i].second, " of ", mib(kinds[i].first));
  return text.empty() ? "none" : text;
}
}  // namespace

void* allocate(size_t bytes) {
  Use& u = use();
  const std::lock_guard lock(u.mutex);
  void* p = nullptr;
  const cudaError_t error = cudaMalloc(&p, std::max<size_t>(bytes, 1));
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    size_t free = 0, total = 0;
    CUDA_CHECK(cudaMemGetInfo(&free, &total));
    throw Error(concat("[cuda] out of memory: asked for ", mib(bytes), "; in use ", mib(u.bytes),
                       ", at most ", mib(u.peak), ", free ", mib(free), " of ", mib(total),
                       "; largest blocks: ", largest_holders(u)));
  }
  CUDA_CHECK(error);
  u.blocks[p] = bytes;
  u.bytes += bytes;
  u.peak = std::max(u.peak, u.bytes);
  return p;
}

void release(void* p) noexcept {
  Use& u = use();
  const std::lock_guard lock(u.mutex);
  const auto found = u.blocks.find(p);
  if (found == u.blocks.end()) return;
  u.bytes -= found->second;
  u.blocks.erase(found);
  (void)cudaFree(p);
}

MemoryUse memory_use() {
  Use& u = use();
  const std::lock_guard lock(u.mutex);
  return {u.bytes, u.peak};
}

void reset_peak() {
  Use& u = use();
  const std::lock_guard lock(u.mutex);
  u.peak = u.bytes;
}

// --- copies and fills ---

void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  if (bytes == 0) return;
  const auto kind = to_device == Device::cpu     ? cudaMemcpyDeviceToHost
                    : from_device == Device::cpu ? cudaMemcpyHostToDevice
                                                 : cudaMemcpyDeviceToDevice;
  CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, kind, nullptr));
  CUDA_CHECK(cudaStreamSynchronize(nullptr));
}

void zero(void* p, size_t bytes, Stream stream) {
  if (bytes > 0) CUDA_CHECK(cudaMemsetAsync(p, 0, bytes, raw(stream)));
}

namespace {
constexpr int kThreads = 256;

template <class To, class From>
__global__ void convert_kernel(To* to, const From* from, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) to[i] = store<To>(load(from[i]));
}

template <class T>
__global__ void fill_kernel(T* p, T value, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) p[i] = value;
}
}  // namespace

void convert(void* to, DType to_type, const void* from, DType from_type, int64_t n, Stream stream) {
  if (n == 0) return;
  with_device_type(to_type, [&](auto t) {
    with_device_type(from_type, [&](auto f) {
      using To = decltype(t);
      using From = decltype(f);
      launch(stream, convert_kernel<To, From>, blocks_for(n, kThreads), kThreads, 0, static_cast<To*>(to),
             static_cast<const From*>(from), n);
    });
  });
}

void fill(void* p, DType type, double value, int64_t n, Stream stream) {
  if (n == 0) return;
  if (type == DType::int32)
    return launch(stream, fill_kernel<int32_t>, blocks_for(n, kThreads), kThreads, 0,
                  static_cast<int32_t*>(p), static_cast<int32_t>(value), n);
  with_device_type(type, [&](auto t) {
    using T = decltype(t);
    launch(stream, fill_kernel<T>, blocks_for(n, kThreads), kThreads, 0, static_cast<T*>(p),
           store<T>(static_cast<float>(value)), n);
  });
}

// --- streams ---

Stream make_stream() {
  static std::mutex mutex;
  static std::vector<cudaStream_t>& all = *std::make_unique<std::vector<cudaStream_t>>().release();
  cudaStream_t stream = nullptr;
  CUDA_CHECK(cudaStreamCreate(&stream));
  const std::lock_guard lock(mutex);
  return {all.emplace_back(stream)};
}

void wait_for(Stream stream) { CUDA_CHECK(cudaStreamSynchronize(raw(stream))); }

}  // namespace gmail::cuda
