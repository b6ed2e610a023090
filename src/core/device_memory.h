// Memory of a device, and the ways in and out. The CUDA side is implemented in cuda/runtime.cu and known here
// by these declarations alone.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "core/device.h"
#include "core/dtype.h"

namespace gmail {

constexpr size_t kAlignment = 64;  // bytes; one cache line, one AVX-512 register; CUDA gives 256

struct FreeBytes {
  Device device = Device::cpu;
  void operator()(void* p) const;
};
using AlignedBytes = std::unique_ptr<std::byte, FreeBytes>;
[[nodiscard]] AlignedBytes aligned_bytes(size_t bytes, Device device = Device::cpu);

// Copies between any two devices and waits; fills; converts from one type to another on one device.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device, size_t bytes);
void zero_bytes(void* p, Device device, size_t bytes);

// "" if a CUDA device can be used, else why not, in one line: this build lacks the backend, or the machine
// has no driver or device.
[[nodiscard]] std::string why_no_cuda();
// The same for a program that was not told which device to use: it does not choose an emulated one either.
[[nodiscard]] std::string why_not_cuda_by_default();
[[nodiscard]] bool has_cuda_backend();         // of this build
[[nodiscard]] std::string cuda_description();  // "NVIDIA H200, 139.8 GiB, compute capability 9.0"; "" without

namespace cuda {
[[nodiscard]] bool is_emulated();
[[nodiscard]] std::string description();
// "" if a device can be used, else why not, in one line.
[[nodiscard]] std::string why_unusable();
[[nodiscard]] void* allocate(
    size_t bytes);  // throws Error: the request, what is in use, the peak, what is free
void release(void* p) noexcept;
void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes);  // and waits
void zero(void* p, size_t bytes, Stream stream = {});
void convert(void* to, DType to_type, const void* from, DType from_type, int64_t n, Stream stream = {});
void fill(void* p, DType type, double value, int64_t n, Stream stream = {});
// what the matrix products of this process read and wrote so far, in elements; tests of what is left out
[[nodiscard]] int64_t product_elements();
[[nodiscard]] Stream make_stream();  // lives as long as the process
void wait_for(Stream stream);

// --- copies that a stream makes in its order while the CPU goes on (cuda/staging.cu) ---
// They go by way of pinned host memory, which is used again when its copy is done: after the first steps
// of a training nothing is allocated.
void upload(void* to, const void* from, size_t bytes, Stream stream);   // `from` is read before it returns
void copy_on(void* to, const void* from, size_t bytes, Stream stream);  // from device to device
class Pinned;                                                           // a copy on its way to the host
void download(std::shared_ptr<Pinned>& copy, const void* from, size_t bytes, Stream stream);
[[nodiscard]] void* arrived(Pinned& copy);  // its bytes; waits for this copy alone

// --- work that is recorded once and launched as one (cuda/graph.cu) ---
// While `work` runs nothing is computed: what it starts on the stream becomes a graph. It must not allocate,
// wait, or use another stream; the tensors it reads and writes must outlive the graph.
class CapturedGraph;
void capture(std::shared_ptr<CapturedGraph>& graph, Stream stream, const std::function<void()>& work);
void replay(const CapturedGraph& graph, Stream stream);
}  // namespace cuda

}  // namespace gmail
