// How this folder starts kernels, reads tensors and reports errors. One source for two compilers: nvcc,
// and g++ with the headers of tests/emulator/, which run a kernel thread by thread on the CPU.
//   launch(stream, kernel, grid, block, shared_bytes, arguments...)   the only way to start a kernel
//   DYN_SHARED(T, name)                                              the kernel's dynamic shared memory
//   CUDA_CHECK(call)                                                 throws Error with file and line
#pragma once

#include <cuda_runtime.h>

#include <source_location>
#include <tuple>
#include <utility>

#include "core/check.h"
#include "core/device.h"

namespace gmail::cuda {

void check(cudaError_t error, const char* call, const char* file, int line);
#define CUDA_CHECK(call) ::gmail::cuda::check((call), #call, __FILE__, __LINE__)

[[nodiscard]] inline cudaStream_t raw(Stream s) { return static_cast<cudaStream_t>(s.handle); }

// A stream together with the line that launches into it.
struct At {
  Stream stream;
  std::source_location where;
  At(Stream s, std::source_location w = std::source_location::current()) : stream(s), where(w) {}  // NOLINT
};

constexpr int kWarp = 32, kMaxThreads = 1024;
constexpr size_t kPlainShared = size_t{48} << 10U;  // more must be asked for
[[nodiscard]] size_t most_shared();                 // bytes that a block can have if it asks

#if defined(__CUDACC__) || GMAIL_EMULATED
template <class... P, class... A>
void launch(At at, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, A&&... arguments) {
  const std::tuple<P...> values(static_cast<P>(std::forward<A>(arguments))...);
#if defined(__CUDACC__)
  if (shared_bytes > kPlainShared)
    CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(shared_bytes)));
  std::apply([&](P... p) { kernel<<<grid, block, shared_bytes, raw(at.stream)>>>(p...); }, values);
  check(cudaGetLastError(), "kernel launch", at.where.file_name(), static_cast<int>(at.where.line()));
#elif GMAIL_EMULATED
  emulator::launch(at.stream.handle, at.where.file_name(), at.where.line(), {grid.x, grid.y, grid.z},
                   {block.x, block.y, block.z}, shared_bytes,
                   [kernel, values] { std::apply(kernel, values); });
#endif
}
#endif

#if defined(__CUDACC__)
#define DYN_SHARED(T, name)                                         \
  extern __shared__ __align__(16) unsigned char gmail_dyn_shared[]; \
  T* const name = reinterpret_cast<T*>(gmail_dyn_shared)
#elif GMAIL_EMULATED
#define DYN_SHARED(T, name) T* const name = static_cast<T*>(::emulator::dynamic_shared())
#endif

// Blocks for n items with so many a block; refuses what no grid can hold.
[[nodiscard]] inline unsigned blocks_for(int64_t n, int64_t per_block) {
  const int64_t blocks = (n + per_block - 1) / per_block;
  GMAIL_CHECK(blocks <= 0x7fffffff, "[cuda] ", n, " items are too many for one launch");
  return static_cast<unsigned>(blocks > 0 ? blocks : 1);
}

}  // namespace gmail::cuda
