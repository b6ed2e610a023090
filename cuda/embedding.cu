#include "ops/embedding.h"

#include "core/device_memory.h"
#include "device_span.h"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

// eq. (1); i runs over (N, C)
template <class T, class Table>
__global__ void forward_kernel(DeviceSpan<T> y, DeviceSpan<const Table> table, DeviceSpan<const int32_t> ids,
                               EmbeddingSizes s) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= s.N * s.C) return;
  const int64_t id = ids[i / s.C];
  y[i] = store<T>(id >= 0 && id < s.V ? load(table[id * s.C + i % s.C]) : __uint_as_float(0x7fc00000U));
}

// eq. (2); a block for each position. The first position of an id adds up all of them in order, the others do
// nothing: one writer a row and no atomics.
template <class T, class Table>
__global__ void backward_kernel(GradSpan<Table> dtable, DeviceSpan<const T> dy, DeviceSpan<const int32_t> ids,
                                EmbeddingSizes s) {
  __shared__ int earlier;
  const int64_t i = blockIdx.x, id = ids[i];
  if (threadIdx.x == 0) earlier = 0;
  __syncthreads();
  for (int64_t j = threadIdx.x; j < i; j += kThreads)
    if (ids[j] == id) atomicMax(&earlier, 1);
  __syncthreads();
  if (earlier != 0 || id < 0 || id >= s.V) return;
  for (int64_t c = threadIdx.x; c < s.C; c += kThreads) {
    float sum = 0;
    for (int64_t j = i; j < s.N; ++j)
      if (ids[j] == id) sum += load(dy[j * s.C + c]);
    dtable.put(id * s.C + c, sum);
  }
}

}  // namespace

void embedding_forward(Tensor& y, const Tensor& table, const Tensor& ids, Stream stream) {
  const EmbeddingSizes s = embedding_sizes(table, ids, y);
  if (y.numel() == 0) return;
  with_device_type(y.dtype(), [&](auto zero) {
    with_device_type(table.dtype(), [&](auto entry) {
      using T = decltype(zero);
      using Table = decltype(entry);
      launch(stream, forward_kernel<T, Table>, blocks_for(y.numel(), kThreads), kThreads, 0, span<T>(y),
             span<Table>(table), span<int32_t>(ids), s);
    });
  });
}

void embedding_backward(Grad dtable, const Tensor& dy, const Tensor& ids, Stream stream) {
  if (!dtable) return;
  const EmbeddingSizes s = embedding_sizes(dtable.t, ids, dy);
  if (!dtable.add) zero(dtable.t.raw(), dtable.t.bytes(), stream);
  if (s.N * s.C == 0) return;
  with_device_type(dy.dtype(), [&](auto zero) {
    with_device_type(dtable.t.dtype(), [&](auto entry) {
      using T = decltype(zero);
      using Table = decltype(entry);
      launch(stream, backward_kernel<T, Table>, blocks_for(s.N, 1), kThreads, 0, grad<Table>(dtable),
             span<T>(dy), span<int32_t>(ids), s);
    });
  });
}

}  // namespace gmail::cuda
