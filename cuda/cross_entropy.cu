#include "ops/cross_entropy.h"

#include "rows.cuh"
#include "temporary.h"

namespace gmail::cuda {
namespace {

// A block a row. The vocabulary is long and odd (50257), so a row begins anywhere: single elements up to an
// aligned address, packs, and the rest. The fast exponential is exact enough where its terms count: near 0.
constexpr int kThreads = 512;

struct Rows {
  DeviceSpan<const int32_t> target, mask;
  int64_t N;
  int V;
  __device__ bool counts(int64_t n) const { return !mask || mask[n] != 0; }
};

// f(Width<K>, v): the thread's columns v .. v + K - 1 of the row that begins at `at`
template <int K, class T, class F>
__device__ void each_column(DeviceSpan<T> z, int64_t at, int V, F&& f) {
  const int thread = static_cast<int>(threadIdx.x);
  int head = 0;
  if constexpr (K > 1) {
    const auto past = static_cast<int>(reinterpret_cast<uintptr_t>(z.p + at) % 16);
    head = (16 - past) % 16 / static_cast<int>(sizeof(T));
    head = head < V ? head : V;
  }
  const int tail = head + (V - head) / K * K;
  if (thread < head) f(Width<1>{}, thread);
  for (int v = head + thread * K; v < tail; v += kThreads * K) f(Width<K>{}, v);
  if (K > 1 && tail + thread < V) f(Width<1>{}, tail + thread);
}

// l_n of eq. (1)
template <class T, int K>
__global__ void __launch_bounds__(kThreads)
    log_sum_kernel(DeviceSpan<float> l, DeviceSpan<const T> z, Rows s) {
  __shared__ float partial[kWarp];
  const int64_t n = blockIdx.x, at = n * s.V;
  if (!s.counts(n)) {  // the whole block
    if (threadIdx.x == 0) l[n] = 0;
    return;
  }
  LogSum sum;
  each_column<K>(z, at, s.V, [&](auto width, int v) {
    constexpr int W = decltype(width)::value;
    const Pack<T, W> pack = read_pack<W>(z, at + v);
    float m = pack[0], terms = 0;
    for (int k = 1; k < W; ++k) m = fmaxf(m, pack[k]);  // a NaN shows in its term
    const float larger = fmaxf(sum.m, m), zero = LogSum::zero(larger);
    for (int k = 0; k < W; ++k) terms += __expf(pack[k] - zero);
    sum.s = sum.s * __expf(sum.m - zero) + terms;
    sum.m = larger;
  });
  const float total = sum.of_block(partial);
  if (threadIdx.x == 0) l[n] = total;
}

// M of eq. (1), in every thread of the one block
__device__ float counted(const Rows& s, float* partial) {
  float sum = 0;
  for (int64_t n = threadIdx.x; n < s.N; n += kThreads) sum += s.counts(n) ? 1.0F : 0.0F;
  return block_reduce<Sum>(sum, partial);
}

// L of eq. (1), one block
template <class T>
__global__ void loss_kernel(DeviceSpan<float> loss, DeviceSpan<const float> l, DeviceSpan<const T> z,
                            Rows s) {
  __shared__ float partial[kWarp];
  const float M = counted(s, partial);
  float sum = 0;
  for (int64_t n = threadIdx.x; n < s.N; n += kThreads) {
    if (!s.counts(n)) continue;
    const int64_t target = s.target[n];
    sum += target >= 0 && target < s.V ? l[n] - load(z[n * s.V + target]) : __uint_as_float(0x7fc00000U);
  }
  sum = block_reduce<Sum>(sum, partial);
  if (threadIdx.x == 0) loss[0] = M > 0 ? sum / M : 0;
}

// dL / M of eq. (2), one block
__global__ void factor_kernel(DeviceSpan<float> factor, DeviceSpan<const float> dloss, Rows s) {
  __shared__ float partial[kWarp];
  const float M = counted(s, partial);
  if (threadIdx.x == 0) factor[0] = dloss[0] / (M > 1 ? M : 1);
}

// eq. (2); dz may be z: each thread reads what it writes
template <class T, int K>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(GradSpan<T> dz, DeviceSpan<const float> factor, DeviceSpan<const T> z,
                    DeviceSpan<const float> l, Rows s) {
  const int64_t n = blockIdx.x, at = n * s.V;
  const bool counts = s.counts(n);
  if (!counts && dz.add) return;
  const float scale = factor[0], l_n = l[n];
  const int target = s.target[n];
  each_column<K>(z, at, s.V, [&](auto width, int v) {
    constexpr int W = decltype(width)::value;
    float out[W] = {};
    if (counts) {
      const Pack<T, W> pack = read_pack<W>(z, at + v);
      for (int k = 0; k < W; ++k) out[k] = scale * (__expf(pack[k] - l_n) - (v + k == target ? 1.0F : 0.0F));
    }
    put_pack<W>(dz, at + v, out);
  });
}

}  // namespace

void softmax_cross_entropy_forward(Tensor& loss, Tensor& l, const Tensor& logits, const Tensor& targets,
                                   const Tensor& mask, Stream stream) {
  const auto [N, V] = cross_entropy_sizes(logits, targets, mask);
  const Rows s{span<int32_t>(targets), span<int32_t>(mask), N, static_cast<int>(V)};
  GMAIL_CHECK(s.V == V, "[softmax_cross_entropy] rows of ", V, " are too long");
  with_device_type(logits.dtype(), [&, N = N](auto zero) {
    using T = decltype(zero);
    if (N > 0)
      launch(stream, log_sum_kernel<T, kWide<T>>, blocks_for(N, 1), kThreads, 0, span<float>(l),
             span<T>(logits), s);
    launch(stream, loss_kernel<T>, 1, kThreads, 0, span<float>(loss), span<float>(std::as_const(l)),
           span<T>(logits), s);
  });
}

void softmax_cross_entropy_backward(Grad dlogits, const Tensor& dloss, const Tensor& logits, const Tensor& l,
                                    const Tensor& targets, const Tensor& mask, Stream stream) {
  const auto [N, V] = cross_entropy_sizes(logits, targets, mask);
  if (!dlogits || N == 0) return;
  const Rows s{span<int32_t>(targets), span<int32_t>(mask), N, static_cast<int>(V)};
  Tensor factor = temporary({1}, DType::float32, stream);
  launch(stream, factor_kernel, 1, kThreads, 0, span<float>(factor), span<float>(dloss), s);
  with_device_type(logits.dtype(), [&, N = N](auto zero) {
    using T = decltype(zero);
    const GradSpan<T> dz = grad<T>(dlogits);
    const DeviceSpan<const T> z = span<T>(logits);
    // packs only where both rows come to an aligned address together
    const bool wide = (reinterpret_cast<uintptr_t>(dz.g.p) - reinterpret_cast<uintptr_t>(z.p)) % 16 == 0;
    launch(stream, wide ? backward_kernel<T, kWide<T>> : backward_kernel<T, 1>, blocks_for(N, 1), kThreads, 0,
           dz, span<float>(std::as_const(factor)), z, span<float>(l), s);
  });
}

}  // namespace gmail::cuda
