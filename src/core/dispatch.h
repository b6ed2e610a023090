// The choice of a backend: one readable `if`, here and nowhere else. GMAIL_RUN(ctx, layer_norm_forward, y,
// x) calls cpu::layer_norm_forward(y, x) or cuda::layer_norm_forward(y, x, stream). A backend that lacks an
// op does not link.
#pragma once

#include "core/context.h"

#if GMAIL_CUDA
#define GMAIL_RUN(ctx, op, ...)                     \
  do {                                              \
    if ((ctx).device == ::gmail::Device::cuda)      \
      ::gmail::cuda::op(__VA_ARGS__, (ctx).stream); \
    else                                            \
      ::gmail::cpu::op(__VA_ARGS__);                \
  } while (false)
// What only the CUDA backend can do (core/device_memory.h): in a build without it an Error, or a value.
#define GMAIL_CUDA_ONLY(call) ::gmail::cuda::call
#define GMAIL_CUDA_OR(call, without) ::gmail::cuda::call
namespace gmail {
constexpr bool kCudaBackend = true;
}
#else
#define GMAIL_CUDA_OR(call, without) (without)
#define GMAIL_RUN(ctx, op, ...) ::gmail::cpu::op(__VA_ARGS__)
#define GMAIL_CUDA_ONLY(call) ::gmail::no_cuda()
namespace gmail {
constexpr bool kCudaBackend = false;
[[noreturn]] inline void* no_cuda() { throw Error(why_no_cuda()); }
}  // namespace gmail
#endif
