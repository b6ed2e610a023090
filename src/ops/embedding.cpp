#include "ops/embedding.h"

#include <cstring>
#include <numeric>
#include <vector>

#include "ops/grain.h"
#include "ops/simd.h"

namespace gmail {

EmbeddingSizes embedding_sizes(const Tensor& table, const Tensor& ids, const Tensor& y) {
  GMAIL_CHECK(table.rank() == 2, "[embedding] table must be (V, C), got ", table.shape());
  const int64_t N = ids.numel(), V = table.size(0), C = table.size(1);
  GMAIL_CHECK(y.numel() == N * C, "[embedding] ids ", ids.shape(), " and table ", table.shape(),
              " do not give ", y.shape());
  return {N, V, C};
}

namespace cpu {
namespace {

using Sizes = EmbeddingSizes;

Sizes check(const Tensor& table, const Tensor& ids, const Tensor& y) {
  const Sizes s = embedding_sizes(table, ids, y);
  const int32_t* id = ids.data<int32_t>();
  for (int64_t i = 0; i < s.N; ++i)
    GMAIL_CHECK(id[i] >= 0 && id[i] < s.V, "[embedding] id ", i, " is ", id[i], ", expected 0 .. ", s.V - 1);
  return s;
}

template <class T>
void forward(T* y, const T* table, const int32_t* id, Sizes s) {
  parallel_for(s.N, rows_per_chunk(s.C), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(y + i * s.C, table + id[i] * s.C, static_cast<size_t>(s.C) * sizeof(T));
  });
}

// Sorted by id, the rows of one id stand together: each row of the table has one writer and a fixed order of
// summation.
template <class T>
void backward(GradWriter<T> dtable, const T* dy, const int32_t* id, Sizes s) {
  if (!dtable.add)
    parallel_for(s.V * s.C, kGrain, [=](int64_t begin, int64_t end) {
      std::memset(dtable.p + begin, 0, static_cast<size_t>(end - begin) * sizeof(T));
    });
  std::vector<int64_t> order(static_cast<size_t>(s.N));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [id](int64_t a, int64_t b) { return id[a] < id[b]; });
  std::vector<int64_t> first;  // where each id begins in `order`, and the end
  for (int64_t i = 0; i < s.N; ++i)
    if (i == 0 || id[order[static_cast<size_t>(i)]] != id[order[static_cast<size_t>(i - 1)]])
      first.push_back(i);
  first.push_back(s.N);
  parallel_for(static_cast<int64_t>(first.size()) - 1, rows_per_chunk(s.C), [&](int64_t begin, int64_t end) {
    for (int64_t i = first[static_cast<size_t>(begin)]; i < first[static_cast<size_t>(end)]; ++i) {
      const int64_t from = order[static_cast<size_t>(i)];
      T* row = dtable.p + id[from] * s.C;
      const T* dyi = dy + from * s.C;
      GMAIL_SIMD
      for (int64_t c = 0; c < s.C; ++c) row[c] += dyi[c];  // eq. (2)
    }
  });
}

}  // namespace

void embedding_forward(Tensor& y, const Tensor& table, const Tensor& ids) {
  const Sizes s = check(table, ids, y);
  with_float_type(table.dtype(), [&](auto zero) {
    using T = decltype(zero);
    forward<T>(y.data<T>(), table.data<T>(), ids.data<int32_t>(), s);
  });
}

void embedding_backward(Grad dtable, const Tensor& dy, const Tensor& ids) {
  if (!dtable) return;
  const Sizes s = check(dtable.t, ids, dy);
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    backward<T>(GradWriter<T>(dtable), dy.data<T>(), ids.data<int32_t>(), s);
  });
}

}  // namespace cpu
}  // namespace gmail
