// Four floats a thread: one access of 16 bytes where kAligned says that the array begins at a multiple of 16,
// else, and at the end of the array, one by one. i is a multiple of 4.
#pragma once

#include "device_span.h"

namespace gmail::cuda {

template <bool kAligned, class T>  // float or const float
__device__ void load4(float (&x)[4], DeviceSpan<T> from, int64_t i, int64_t n) {
  if (kAligned && i + 4 <= n) {
    const float4 v = *reinterpret_cast<const float4*>(&from[i]);
    x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
    return;
  }
  for (int j = 0; j < 4; ++j) x[j] = i + j < n ? from[i + j] : 0.0F;
}

template <bool kAligned>
__device__ void store4(DeviceSpan<float> to, const float (&x)[4], int64_t i, int64_t n) {
  if (kAligned && i + 4 <= n) {
    *reinterpret_cast<float4*>(&to[i]) = make_float4(x[0], x[1], x[2], x[3]);
    return;
  }
  for (int j = 0; j < 4; ++j)
    if (i + j < n) to[i + j] = x[j];
}

// Do all of them begin at a multiple of 16 bytes?
template <class... Tensors>
[[nodiscard]] bool aligned16(const Tensors&... t) {
  return ((reinterpret_cast<uintptr_t>(t.raw()) % 16 == 0) && ...);
}

// Calls f(std::bool_constant<..>{}).
template <class F>
void with_alignment(bool aligned, F&& f) {
  if (aligned)
    f(std::true_type{});
  else
    f(std::false_type{});
}

}  // namespace gmail::cuda
