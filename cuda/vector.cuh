// K neighbouring elements in one access of 16 bytes (or two, or one of 8), as memory likes it: K = kWide<T>
// where every address is a multiple of 16 bytes, K = 1 where it is not. A kernel is written once for any K.
#pragma once

#include <type_traits>

#include "device_span.h"

namespace gmail::cuda {

#if defined(__CUDACC__)
#define GMAIL_UNROLL _Pragma("unroll")
#else
#define GMAIL_UNROLL
#endif

template <class T>
constexpr int kWide = 16 / static_cast<int>(sizeof(T));  // 8 or 4 elements

// K elements as they lie in memory; [k] is one of them in float.
template <class T, int K>
struct Pack {
  unsigned words[K * sizeof(T) / 4];
  __device__ float operator[](int k) const {
    if constexpr (sizeof(T) == 4) return __uint_as_float(words[k]);
    return __uint_as_float(k % 2 == 0 ? words[k / 2] << 16U : words[k / 2] & 0xffff0000U);
  }
  __device__ void set(const float (&v)[K]) {
    if constexpr (sizeof(T) == 4) {
      GMAIL_UNROLL
      for (int k = 0; k < K; ++k) words[k] = __float_as_uint(v[k]);
    } else {
      GMAIL_UNROLL
      for (int k = 0; k < K; k += 2) {
        const __nv_bfloat162 pair = __floats2bfloat162_rn(v[k], v[k + 1]);
        __builtin_memcpy(&words[k / 2], &pair, 4);
      }
    }
  }
};
template <class T>
struct Pack<T, 1> {
  T value;
  __device__ float operator[](int) const { return load(value); }
  __device__ void set(const float (&v)[1]) { value = store<T>(v[0]); }
};

// The twin of the wide accesses copies the bytes: the emulator knows no alignment but the one it checks.
template <int kWords>
__device__ void load_words(unsigned (&to)[kWords], const void* from) {
#if defined(__CUDA_ARCH__)
  if constexpr (kWords % 4 == 0) {
    GMAIL_UNROLL
    for (int i = 0; i < kWords; i += 4) {
      const uint4 v = static_cast<const uint4*>(from)[i / 4];
      to[i] = v.x, to[i + 1] = v.y, to[i + 2] = v.z, to[i + 3] = v.w;
    }
  } else {
    const uint2 v = *static_cast<const uint2*>(from);
    to[0] = v.x, to[1] = v.y;
  }
#else
  __builtin_memcpy(to, from, sizeof(to));
#endif
}
template <int kWords>
__device__ void store_words(void* to, const unsigned (&from)[kWords]) {
#if defined(__CUDA_ARCH__)
  if constexpr (kWords % 4 == 0) {
    GMAIL_UNROLL
    for (int i = 0; i < kWords; i += 4)
      static_cast<uint4*>(to)[i / 4] = make_uint4(from[i], from[i + 1], from[i + 2], from[i + 3]);
  } else {
    *static_cast<uint2*>(to) = make_uint2(from[0], from[1]);
  }
#else
  __builtin_memcpy(to, from, sizeof(from));
#endif
}

template <int K, class T>
__device__ void check_pack([[maybe_unused]] DeviceSpan<T> s, [[maybe_unused]] int64_t i) {
#if GMAIL_EMULATED
  if (i < 0 || i + K > s.n) emulator::fail_index(i < 0 ? i : i + K - 1, s.n);
  constexpr size_t bytes = K * sizeof(T) < 16 ? K * sizeof(T) : 16;
  if (reinterpret_cast<uintptr_t>(s.p + i) % bytes != 0) emulator::fail("a wide access is not aligned");
#endif
}

// elements i .. i + K - 1
template <int K, class T>
__device__ Pack<std::remove_const_t<T>, K> read_pack(DeviceSpan<T> s, int64_t i) {
  check_pack<K>(s, i);
  Pack<std::remove_const_t<T>, K> pack;
  if constexpr (K == 1)
    pack.value = s.p[i];
  else
    load_words(pack.words, s.p + i);
  return pack;
}
template <int K, class T>
__device__ void write_pack(DeviceSpan<T> s, int64_t i, const float (&v)[K]) {
  check_pack<K>(s, i);
  Pack<T, K> pack;
  pack.set(v);
  if constexpr (K == 1)
    s.p[i] = pack.value;
  else
    store_words(s.p + i, pack.words);
}

// K elements of a gradient, over what is there or added to it
template <int K, class T>
__device__ void put_pack(const GradSpan<T>& g, int64_t i, const float (&v)[K]) {
  if (!g.add) return write_pack<K>(g.g, i, v);
  const Pack<T, K> before = read_pack<K>(g.g, i);
  float sum[K];
  GMAIL_UNROLL
  for (int k = 0; k < K; ++k) sum[k] = before[k] + v[k];
  write_pack<K>(g.g, i, sum);
}

// K elements of a weight that may be absent
template <int K>
__device__ void read_or(float (&v)[K], DeviceSpan<const float> s, int64_t i, float absent) {
  if (!s) {
    GMAIL_UNROLL
    for (int k = 0; k < K; ++k) v[k] = absent;
    return;
  }
  const Pack<float, K> pack = read_pack<K>(s, i);
  GMAIL_UNROLL
  for (int k = 0; k < K; ++k) v[k] = pack[k];
}

// May the elements of these be read 16 bytes at a time? An absent one does not matter.
template <class T>
[[nodiscard]] bool aligned(const DeviceSpan<T>& s) {
  return reinterpret_cast<uintptr_t>(s.p) % 16 == 0;
}
template <class T>
[[nodiscard]] bool aligned(const GradSpan<T>& g) {
  return aligned(g.g);
}
template <class A, class B, class... More>
[[nodiscard]] bool aligned(const A& a, const B& b, const More&... more) {
  return aligned(a) && aligned(b, more...);
}

}  // namespace gmail::cuda
