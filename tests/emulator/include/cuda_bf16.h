// Stands in for CUDA's header of the same name: bfloat16 with arithmetic left to float.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

struct __nv_bfloat16 {
  uint16_t bits;
};
struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline float __bfloat162float(__nv_bfloat16 x) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16U);
}
inline __nv_bfloat16 __float2bfloat16_rn(float x) {  // to nearest, ties to even; NaN as the GPU gives it
  const auto u = __builtin_bit_cast(uint32_t, x);
  if ((u & 0x7fffffffU) > 0x7f800000U) return {0x7fff};
  return {static_cast<uint16_t>((u + 0x7fffU + ((u >> 16U) & 1U)) >> 16U)};
}
inline float2 __bfloat1622float2(__nv_bfloat162 v) { return {__bfloat162float(v.x), __bfloat162float(v.y)}; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
  return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}
