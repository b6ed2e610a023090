// A tensor as a kernel sees it: a pointer to device memory that no host pointer turns into by accident.
// In the emulator every access is checked against the tensor's own size.
#pragma once

#include <cuda_bf16.h>

#include "launch.h"
#include "ops/grad.h"

namespace gmail::cuda {

using bf16 = __nv_bfloat16;

template <class T>
constexpr DType kDType = dtype_of<T>::value;
template <>
inline constexpr DType kDType<bf16> = DType::bfloat16;

template <class T>
struct DeviceSpan {
  T* p = nullptr;
#if GMAIL_EMULATED
  int64_t n = 0;
#endif
  __host__ __device__ explicit operator bool() const { return p != nullptr; }
  __device__ T& operator[](int64_t i) const {
#if GMAIL_EMULATED
    if (i < 0 || i >= n) emulator::fail_index(i, n);
#endif
    return p[i];
  }
};

// The elements of a device tensor; an absent tensor gives an absent span.
template <class T>
[[nodiscard]] DeviceSpan<T> span(Tensor& t) {
  DeviceSpan<T> s;
  if (!t) return s;
  GMAIL_CHECK(t.device() == Device::cuda, "[cuda] a tensor of shape ", t.shape(), " lies on the CPU");
  GMAIL_CHECK(t.dtype() == kDType<T>, "[cuda] expected ", name_of(kDType<T>), ", got ", name_of(t.dtype()));
  s.p = reinterpret_cast<T*>(t.raw());
#if GMAIL_EMULATED
  s.n = t.numel();
#endif
  return s;
}
template <class T>
[[nodiscard]] DeviceSpan<const T> span(const Tensor& t) {
  Tensor handle = t;
  const DeviceSpan<T> s = span<T>(handle);
  DeviceSpan<const T> c;
  c.p = s.p;
#if GMAIL_EMULATED
  c.n = s.n;
#endif
  return c;
}

// The elements from `begin` on, read only.
template <class T>
[[nodiscard]] DeviceSpan<const T> part(DeviceSpan<T> s, int64_t begin) {
  DeviceSpan<const T> rest;
  rest.p = s.p + begin;
#if GMAIL_EMULATED
  rest.n = s.n - begin;
#endif
  return rest;
}

// Arithmetic is done in float, whatever is stored.
__host__ __device__ inline float load(float x) { return x; }
__host__ __device__ inline float load(bf16 x) { return __bfloat162float(x); }
template <class T>
__host__ __device__ T store(float x);
template <>
__host__ __device__ inline float store<float>(float x) {
  return x;
}
template <>
__host__ __device__ inline bf16 store<bf16>(float x) {
  return __float2bfloat16_rn(x);
}

// How a kernel writes a gradient: absent, over what is there, or added to it.
template <class T>
struct GradSpan {
  DeviceSpan<T> g;
  bool add = false;
  __host__ __device__ explicit operator bool() const { return static_cast<bool>(g); }
  __device__ void put(int64_t i, float v) const { g[i] = store<T>(add ? load(g[i]) + v : v); }
};

template <class T>
[[nodiscard]] GradSpan<T> grad(Grad& g) {
  return {span<T>(g.t), g.add};
}

// Calls f(T{}) with the type of a kernel.
template <class F>
decltype(auto) with_device_type(DType t, F&& f) {
  if (t == DType::float32) return f(float{});
  GMAIL_CHECK(t == DType::bfloat16, "[cuda] expected float32 or bfloat16, got ", name_of(t));
  return f(bf16{});
}

}  // namespace gmail::cuda
