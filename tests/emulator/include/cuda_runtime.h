// Stands in for the CUDA runtime's header: what cuda/ uses of it, on the CPU. Kernels run in the
// emulator; device memory is a heap block of exactly the size asked for, filled with NaN; a stream does
// its work at once.
#pragma once

#ifndef GMAIL_EMULATED
#define GMAIL_EMULATED 1
#endif

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../emulator.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)

// --- where a thread is ---
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
#define threadIdx (::emulator::here().thread_index)
#define blockIdx (::emulator::here().block_index)
#define blockDim (::emulator::here().block)
#define gridDim (::emulator::here().grid)
constexpr int warpSize = 32;

// --- vectors: for loads and stores, so their alignment matters ---
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// --- barriers, shuffles, votes, atomics: whole warps only ---
inline void __syncthreads() { ::emulator::sync_block(); }
inline void __syncwarp(unsigned mask = ~0U) {
  ::emulator::sync_warp(mask, nullptr, [](void* const(&)[32]) {});
}
inline void __threadfence() {}
inline void __threadfence_block() {}

namespace emulator {
template <class T>
struct Shuffle {
  T value;
  int source;
  T result;
};
// the value of lane `source`; a source outside the warp gives the lane's own
template <class T>
T shuffle(unsigned mask, T value, int source) {
  Shuffle<T> mine{value, source, value};
  sync_warp(mask, &mine, [](void* const(&lanes)[32]) {
    for (void* lane : lanes) {
      auto& s = *static_cast<Shuffle<T>*>(lane);
      if (s.source >= 0 && s.source < 32) s.result = static_cast<const Shuffle<T>*>(lanes[s.source])->value;
    }
  });
  return mine.result;
}
inline int lane() { return static_cast<int>(here().lane); }
struct Vote {
  bool mine;
  unsigned all;
};
}  // namespace emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int source) {
  return ::emulator::shuffle(mask, value, source & 31);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
  return ::emulator::shuffle(mask, value, ::emulator::lane() ^ lanes);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes) {
  return ::emulator::shuffle(mask, value, ::emulator::lane() + static_cast<int>(lanes));
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes) {
  return ::emulator::shuffle(mask, value, ::emulator::lane() - static_cast<int>(lanes));
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  ::emulator::Vote mine{predicate != 0, 0};
  ::emulator::sync_warp(mask, &mine, [](void* const(&lanes)[32]) {
    unsigned all = 0;
    for (unsigned i = 0; i < 32; ++i) all |= (static_cast<::emulator::Vote*>(lanes[i])->mine ? 1U : 0U) << i;
    for (void* lane : lanes) static_cast<::emulator::Vote*>(lane)->all = all;
  });
  return mine.all;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == ~0U; }

// An atomic is one for the race detector as well: it is told, and sees nothing of how it is done.
#define GMAIL_ATOMIC __attribute__((noinline, no_sanitize("thread")))
template <class T>
GMAIL_ATOMIC T atomicAdd(T* address, T value) {
  ::emulator::on_atomic(address, sizeof(T));
  const T old = *address;
  *address = old + value;
  return old;
}
template <class T>
GMAIL_ATOMIC T atomicMax(T* address, T value) {
  ::emulator::on_atomic(address, sizeof(T));
  const T old = *address;
  if (old < value) *address = value;
  return old;
}
template <class T>
GMAIL_ATOMIC T atomicCAS(T* address, T expected, T value) {
  ::emulator::on_atomic(address, sizeof(T));
  const T old = *address;
  if (old == expected) *address = value;
  return old;
}

// --- arithmetic ---
template <class T>
T __ldg(const T* p) {
  return *p;
}
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((uint64_t{a} * b) >> 32U); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }
inline float __uint_as_float(unsigned x) { return __builtin_bit_cast(float, x); }

// --- the runtime ---
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNoDevice = 100,
  cudaErrorNotReady = 600,
  cudaErrorStreamCaptureUnsupported = 900
};
enum cudaMemcpyKind {
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4
};
using cudaStream_t = struct emulator_stream*;
using cudaEvent_t = struct emulator_event*;
struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major, minor, multiProcessorCount;
};
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
enum cudaDeviceAttr { cudaDevAttrMaxSharedMemoryPerBlockOptin = 97 };
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaMalloc(void** address, size_t bytes);
cudaError_t cudaFree(void* address);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMallocHost(void** address, size_t bytes);
cudaError_t cudaFreeHost(void* address);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreate(cudaStream_t* stream);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaEventCreate(cudaEvent_t* event);
enum : unsigned { cudaEventDisableTiming = 2 };
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t begin, cudaEvent_t end);

using cudaGraph_t = struct emulator_graph*;
using cudaGraphExec_t = struct emulator_graph_exec*;
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal };
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive };
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
