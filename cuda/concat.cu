#include "ops/concat.h"

#include "device_span.h"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

// eq. (1), concat: the piece's elements to their places in the whole
template <class T>
__global__ void put_kernel(DeviceSpan<T> whole, DeviceSpan<const T> piece, PieceSizes s) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < s.outer * s.piece) whole[i / s.piece * s.width + s.offset + i % s.piece] = piece[i];
}

// eq. (1), slice; eq. (2), concat
template <class T>
__global__ void take_kernel(GradSpan<T> piece, DeviceSpan<const T> whole, PieceSizes s) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < s.outer * s.piece) piece.put(i, load(whole[i / s.piece * s.width + s.offset + i % s.piece]));
}

// eq. (2), slice: i runs over the whole
template <class T>
__global__ void spread_kernel(GradSpan<T> whole, DeviceSpan<const T> piece, PieceSizes s) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= s.outer * s.width) return;
  const int64_t at = i % s.width - s.offset;
  whole.put(i, at >= 0 && at < s.piece ? load(piece[i / s.width * s.piece + at]) : 0.0F);
}

void take(Grad piece, const Tensor& whole, PieceSizes s, Stream stream) {
  const int64_t n = s.outer * s.piece;
  if (n == 0) return;
  with_device_type(whole.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, take_kernel<T>, blocks_for(n, kThreads), kThreads, 0, grad<T>(piece), span<T>(whole), s);
  });
}

}  // namespace

void concat_forward(Tensor& y, const std::vector<Tensor>& parts, int dim, Stream stream) {
  int64_t begin = 0;
  for (const Tensor& part : parts) {
    const PieceSizes s = piece_sizes(y, part, dim, begin);
    const int64_t n = s.outer * s.piece;
    with_device_type(y.dtype(), [&](auto zero) {
      using T = decltype(zero);
      if (n > 0)
        launch(stream, put_kernel<T>, blocks_for(n, kThreads), kThreads, 0, span<T>(y), span<T>(part), s);
    });
    begin += part.size(dim);
  }
  GMAIL_CHECK(begin == y.size(dim), "[concat] the parts fill ", begin, " of ", y.size(dim), " in dimension ",
              dim);
}

void concat_backward(Grad dpart, const Tensor& dy, int dim, int64_t begin, Stream stream) {
  if (dpart) take(dpart, dy, piece_sizes(dy, dpart.t, dim, begin), stream);
}

void slice_forward(Tensor& y, const Tensor& x, int dim, int64_t begin, Stream stream) {
  take({y, false}, x, piece_sizes(x, y, dim, begin), stream);
}

void slice_backward(Grad dx, const Tensor& dy, int dim, int64_t begin, Stream stream) {
  if (!dx) return;
  const PieceSizes s = piece_sizes(dx.t, dy, dim, begin);
  const int64_t n = s.outer * s.width;
  if (n == 0) return;
  with_device_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, spread_kernel<T>, blocks_for(n, kThreads), kThreads, 0, grad<T>(dx), span<T>(dy), s);
  });
}

}  // namespace gmail::cuda
