#include "ops/resample.h"

#include <cstring>

#include "ops/grain.h"
#include "ops/simd.h"

namespace gmail {

GridSizes grid_sizes(const char* op, const Tensor& coarse, const Tensor& fine, int64_t r,
                     int64_t channels_factor) {
  GMAIL_CHECK(r >= 1 && coarse.rank() == 4 && fine.rank() == 4, "[", op,
              "] expected (B, H, W, C) and a factor, got ", coarse.shape(), ", ", fine.shape(), " and ", r);
  const GridSizes s{coarse.size(0), coarse.size(1), coarse.size(2), fine.size(3)};
  GMAIL_CHECK(coarse.size(3) == s.C * channels_factor && (fine.shape() == Shape{s.B, s.H * r, s.W * r, s.C}),
              "[", op, "] ", coarse.shape(), " and ", fine.shape(), " do not match, factor ", r);
  return s;
}

namespace cpu {
namespace {

using Sizes = GridSizes;

template <class T>
void upsample(T* y, const T* x, Sizes s) {
  const int64_t row = 2 * s.W * s.C;  // of y
  parallel_for(s.B * s.H, rows_per_chunk(2 * row), [=](int64_t begin, int64_t end) {
    for (int64_t h = begin; h < end; ++h) {  // h runs over (b, h)
      T* out = y + 2 * h * row;
      for (int64_t w = 0; w < s.W; ++w)
        for (int64_t j = 0; j < 2; ++j)
          std::memcpy(out + (2 * w + j) * s.C, x + (h * s.W + w) * s.C, static_cast<size_t>(s.C) * sizeof(T));
      std::memcpy(out + row, out, static_cast<size_t>(row) * sizeof(T));
    }
  });
}

template <class T>
void upsample_gradient(GradWriter<T> dx, const T* dy, Sizes s) {
  const int64_t row = 2 * s.W * s.C;  // of dy
  parallel_for(s.B * s.H, rows_per_chunk(2 * row), [=](int64_t begin, int64_t end) {
    for (int64_t h = begin; h < end; ++h)
      for (int64_t w = 0; w < s.W; ++w) {
        const T *top = dy + 2 * h * row + 2 * w * s.C, *bottom = top + row;
        const int64_t at = (h * s.W + w) * s.C;
        GMAIL_SIMD
        for (int64_t c = 0; c < s.C; ++c)
          dx.put(at + c, (top[c] + top[s.C + c]) + (bottom[c] + bottom[s.C + c]));  // eq. (2)
      }
  });
}

template <class T>
void to_fine(GradWriter<T> fine, const T* coarse, Sizes s, int64_t r) {  // eq. (3)
  parallel_for(s.B * s.H, rows_per_chunk(s.W * s.C * r * r), [=](int64_t begin, int64_t end) {
    for (int64_t h = begin; h < end; ++h)
      for (int64_t w = 0; w < s.W; ++w)
        for (int64_t i = 0; i < r; ++i)
          for (int64_t j = 0; j < r; ++j) {
            const int64_t at = (((h * r + i) * s.W + w) * r + j) * s.C;
            const T* from = coarse + (h * s.W + w) * s.C * r * r + i * r + j;
            for (int64_t c = 0; c < s.C; ++c) fine.put(at + c, from[c * r * r]);
          }
  });
}

template <class T>
void to_coarse(GradWriter<T> coarse, const T* fine, Sizes s, int64_t r) {  // eq. (4)
  parallel_for(s.B * s.H, rows_per_chunk(s.W * s.C * r * r), [=](int64_t begin, int64_t end) {
    for (int64_t h = begin; h < end; ++h)
      for (int64_t w = 0; w < s.W; ++w)
        for (int64_t i = 0; i < r; ++i)
          for (int64_t j = 0; j < r; ++j) {
            const T* from = fine + (((h * r + i) * s.W + w) * r + j) * s.C;
            const int64_t at = (h * s.W + w) * s.C * r * r + i * r + j;
            for (int64_t c = 0; c < s.C; ++c) coarse.put(at + c * r * r, from[c]);
          }
  });
}

void shuffle(const char* op, Grad fine, const Tensor& coarse, int r) {
  const Sizes s = grid_sizes(op, coarse, fine.t, r, int64_t{r} * r);
  with_float_type(coarse.dtype(), [&](auto zero) {
    using T = decltype(zero);
    to_fine<T>(GradWriter<T>(fine), coarse.data<T>(), s, r);
  });
}

void unshuffle(const char* op, Grad coarse, const Tensor& fine, int r) {
  const Sizes s = grid_sizes(op, coarse.t, fine, r, int64_t{r} * r);
  with_float_type(fine.dtype(), [&](auto zero) {
    using T = decltype(zero);
    to_coarse<T>(GradWriter<T>(coarse), fine.data<T>(), s, r);
  });
}

}  // namespace

void upsample_nearest_forward(Tensor& y, const Tensor& x) {
  const Sizes s = grid_sizes("upsample_nearest", x, y, 2, 1);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    upsample<T>(y.data<T>(), x.data<T>(), s);
  });
}

void upsample_nearest_backward(Grad dx, const Tensor& dy) {
  if (!dx) return;
  const Sizes s = grid_sizes("upsample_nearest", dx.t, dy, 2, 1);
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    upsample_gradient<T>(GradWriter<T>(dx), dy.data<T>(), s);
  });
}

void pixel_shuffle_forward(Tensor& y, const Tensor& x, int r) { shuffle("pixel_shuffle", {y, false}, x, r); }
void pixel_shuffle_backward(Grad dx, const Tensor& dy, int r) {
  if (dx) unshuffle("pixel_shuffle", dx, dy, r);
}
void pixel_unshuffle_forward(Tensor& y, const Tensor& x, int r) {
  unshuffle("pixel_unshuffle", {y, false}, x, r);
}
void pixel_unshuffle_backward(Grad dx, const Tensor& dy, int r) {
  if (dx) shuffle("pixel_unshuffle", dx, dy, r);
}

}  // namespace cpu
}  // namespace gmail
