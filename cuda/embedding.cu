#include "ops/embedding.h"

#include "core/device_memory.h"
#include "each.cuh"
#include "temporary.h"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

// eq. (1); i runs over (N, C)
template <class T, class Table>
struct Forward {
  static constexpr int kVector = kWide<T> > kWide<Table> ? kWide<T> : kWide<Table>;
  DeviceSpan<T> y;
  DeviceSpan<const Table> table;
  DeviceSpan<const int32_t> ids;
  EmbeddingSizes s;
  template <int K>
  __device__ void at(int64_t i) const {
    const int64_t n = i / s.C, id = ids[n];
    const bool there = id >= 0 && id < s.V;
    const Pack<Table, K> v = read_pack<K>(table, (there ? id : 0) * s.C + (i - n * s.C));
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = there ? v[k] : __uint_as_float(0x7fc00000U);
    write_pack<K>(y, i, out);
  }
};

// --- eq. (2): the positions are put in the order of (id, position), then each run of one id is summed in
// that order. No atomics, and the work is N C and N^2 cheap comparisons, whatever V and however often an id
// comes.

// order[place of i] = i: a thread counts what stands before its own position
__global__ void order_kernel(DeviceSpan<int32_t> order, DeviceSpan<const int32_t> ids, int N) {
  __shared__ int32_t tile[kThreads];
  const int first = static_cast<int>(blockIdx.x) * kThreads, i = first + static_cast<int>(threadIdx.x);
  const int32_t id = i < N ? ids[i] : 0;
  int place = 0;
  for (int begin = 0; begin < N; begin += kThreads) {
    const int count = N - begin < kThreads ? N - begin : kThreads;
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < count) tile[threadIdx.x] = ids[begin + static_cast<int>(threadIdx.x)];
    __syncthreads();
    if (begin < first)
      for (int j = 0; j < count; ++j) place += tile[j] <= id ? 1 : 0;
    else if (begin > first)
      for (int j = 0; j < count; ++j) place += tile[j] < id ? 1 : 0;
    else
      for (int j = 0; j < count; ++j) place += tile[j] < id || (tile[j] == id && begin + j < i) ? 1 : 0;
  }
  if (i < N) order[place] = i;
}

constexpr int kChunk = 32, kAhead = 8;  // places of a block; rows that are read before the first is needed

struct Sorted {
  DeviceSpan<const int32_t> order, ids;
  int N;
  __device__ int32_t id(int place) const { return ids[order[place]]; }
  // do places p - 1 and p belong to one run?
  __device__ bool joined(int p) const { return p > 0 && p < N && id(p - 1) == id(p); }
};

// The runs of a chunk of places. A run that lies in the chunk goes to the table; one that came from before to
// head (chunks, C), one that begins here and goes on to tail (chunks, C).
template <class T, class Table, int K>
__global__ void chunk_kernel(GradSpan<Table> dtable, DeviceSpan<float> head, DeviceSpan<float> tail,
                             DeviceSpan<const T> dy, Sorted sorted, EmbeddingSizes s) {
  const int chunk = static_cast<int>(blockIdx.x), begin = chunk * kChunk;
  const int end = begin + kChunk < sorted.N ? begin + kChunk : sorted.N;
  const bool from_before = sorted.joined(begin), goes_on = sorted.joined(end);
  for (int64_t c = int64_t{threadIdx.x} * K; c < s.C; c += int64_t{kThreads} * K) {
    float sum[K] = {};
    bool first_run = true;
    for (int p = begin; p < end; p += kAhead) {
      Pack<T, K> rows[kAhead] = {};
      for (int j = 0; j < kAhead; ++j)
        if (p + j < end) rows[j] = read_pack<K>(dy, sorted.order[p + j] * s.C + c);
      for (int j = 0; j < kAhead && p + j < end; ++j) {
        for (int k = 0; k < K; ++k) sum[k] += rows[j][k];
        const bool last = p + j + 1 == end;
        if (!last && sorted.joined(p + j + 1)) continue;
        const int64_t id = sorted.id(p + j);
        if (first_run && from_before)
          write_pack<K>(head, chunk * s.C + c, sum);
        else if (last && goes_on)
          write_pack<K>(tail, chunk * s.C + c, sum);
        else if (id >= 0 && id < s.V)
          put_pack<K>(dtable, id * s.C + c, sum);
        first_run = false;
        for (int k = 0; k < K; ++k) sum[k] = 0;
      }
    }
  }
}

// A run over several chunks: its tail where it begins, and the heads after that.
template <class Table>
__global__ void join_kernel(GradSpan<Table> dtable, DeviceSpan<const float> head,
                            DeviceSpan<const float> tail, Sorted sorted, EmbeddingSizes s, int chunks) {
  const int chunk = static_cast<int>(blockIdx.x), begin = chunk * kChunk;
  if (chunk + 1 == chunks || !sorted.joined(begin + kChunk)) return;
  const int32_t id = sorted.id(begin + kChunk);
  if (sorted.joined(begin) && sorted.id(begin) == id) return;  // it began earlier
  int low = chunk + 1, high = chunks;                          // the last chunk whose first place has the id
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (sorted.id(middle * kChunk) == id ? low : high) = middle;
  }
  if (id < 0 || id >= s.V) return;
  for (int64_t c = threadIdx.x; c < s.C; c += kThreads) {
    float sum = tail[chunk * s.C + c];
    for (int q = chunk + 1; q <= low; ++q) sum += head[q * s.C + c];
    dtable.put(id * s.C + c, sum);
  }
}

template <class T, class Table>
void backward(GradSpan<Table> dtable, DeviceSpan<const T> dy, DeviceSpan<const int32_t> ids, EmbeddingSizes s,
              Stream stream) {
  const auto N = static_cast<int>(s.N), chunks = (N + kChunk - 1) / kChunk;
  Tensor places = temporary({s.N}, DType::int32, stream);
  Tensor heads = temporary({chunks, s.C}, DType::float32, stream),
         tails = temporary({chunks, s.C}, DType::float32, stream);
  const DeviceSpan<float> head = span<float>(heads), tail = span<float>(tails);
  const DeviceSpan<int32_t> order = span<int32_t>(places);
  const Sorted sorted{part(order, 0), ids, N};
  launch(stream, order_kernel, blocks_for(s.N, kThreads), kThreads, 0, order, ids, N);
  const bool wide = s.C % kWide<T> == 0 && aligned(dtable, dy);
  launch(stream, wide ? chunk_kernel<T, Table, kWide<T>> : chunk_kernel<T, Table, 1>,
         static_cast<unsigned>(chunks), kThreads, 0, dtable, head, tail, dy, sorted, s);
  launch(stream, join_kernel<Table>, static_cast<unsigned>(chunks), kThreads, 0, dtable, part(head, 0),
         part(tail, 0), sorted, s, chunks);
}

}  // namespace

void embedding_forward(Tensor& y, const Tensor& table, const Tensor& ids, Stream stream) {
  const EmbeddingSizes s = embedding_sizes(table, ids, y);
  with_device_type(y.dtype(), [&](auto zero) {
    with_device_type(table.dtype(), [&](auto entry) {
      using Op = Forward<decltype(zero), decltype(entry)>;
      const Op op{span<decltype(zero)>(y), span<decltype(entry)>(table), span<int32_t>(ids), s};
      each<Op::kVector>(op, y.numel(), s.C % Op::kVector == 0 && aligned(op.y, op.table), stream);
    });
  });
}

void embedding_backward(Grad dtable, const Tensor& dy, const Tensor& ids, Stream stream) {
  if (!dtable) return;
  const EmbeddingSizes s = embedding_sizes(dtable.t, ids, dy);
  GMAIL_CHECK(s.N < int64_t{1} << 30U, "[embedding] ", s.N, " positions are too many");
  if (!dtable.add) zero(dtable.t.raw(), dtable.t.bytes(), stream);
  if (s.N * s.C == 0) return;
  with_device_type(dy.dtype(), [&](auto zero) {
    with_device_type(dtable.t.dtype(), [&](auto entry) {
      using T = decltype(zero);
      using Table = decltype(entry);
      backward<T, Table>(grad<Table>(dtable), span<T>(dy), span<int32_t>(ids), s, stream);
    });
  });
}

}  // namespace gmail::cuda
