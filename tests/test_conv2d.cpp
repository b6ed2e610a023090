// Protects conv2d: equations (1)-(3) for 1x1, 3x3, patches, strides, padding, kernels smaller than the
// stride; agreement with the definition on larger images; a kept copy of a frozen kernel; equal bits for
// every number of threads.
#include "catch.h"

#include "autograd/functions.h"
#include "gradcheck.h"
#include "threads.h"

using namespace gmail;
using namespace gmail::test;

namespace {

Function with(int stride, int pad) {
  return [=](Tape& tape, const std::vector<Var>& v) { return conv2d(tape, v[0], v[1], v[2], stride, pad); };
}

// Equation (1), one element at a time.
Tensor naive(const Tensor& x, const Tensor& w, const Tensor& b, const Shape& shape, int stride, int pad) {
  Tensor y = Tensor::zeros(shape, DType::float64);
  const int64_t H = x.size(1), W = x.size(2), I = x.size(3), kh = w.size(2), kw = w.size(3);
  for (int64_t n = 0; n < y.numel(); ++n) {
    const int64_t o = n % shape[3], v = n / shape[3] % shape[2], u = n / shape[3] / shape[2] % shape[1];
    const int64_t image = n / shape[3] / shape[2] / shape[1];
    double sum = b.at(o);
    for (int64_t p = 0; p < kh; ++p)
      for (int64_t q = 0; q < kw; ++q) {
        const int64_t h = u * stride + p - pad, c = v * stride + q - pad;
        if (h < 0 || h >= H || c < 0 || c >= W) continue;
        for (int64_t i = 0; i < I; ++i)
          sum += x.at(((image * H + h) * W + c) * I + i) * w.at(((o * I + i) * kh + p) * kw + q);
      }
    y.data<double>()[n] = sum;
  }
  return y;
}

}  // namespace

TEST_CASE("conv2d: gradients", "[device]") {
  CHECK_GRAD(with(1, 1), {random({2, 4, 5, 3}, 1), random({4, 3, 3, 3}, 2), random({4}, 3)});
  CHECK_GRAD(with(2, 1), {random({1, 5, 6, 2}, 1), random({3, 2, 3, 3}, 2), random({3}, 3)});
  CHECK_GRAD(with(2, 0), {random({2, 6, 4, 3}, 1), random({5, 3, 2, 2}, 2), random({5}, 3)});
  CHECK_GRAD(with(1, 0), {random({2, 3, 3, 4}, 1), random({5, 4, 1, 1}, 2), random({5}, 3)});
  CHECK_GRAD(with(1, 0), {random({1, 4, 5, 2}, 1), random({2, 2, 3, 2}, 2), Tensor()});
  CHECK_GRAD(with(3, 1),
             {random({1, 5, 5, 2}, 1), random({2, 2, 2, 2}, 2), Tensor()});  // pixels that no tap meets
  CHECK_GRAD(with(2, 0), {random({1, 5, 5, 2}, 1), random({2, 2, 1, 1}, 2), Tensor()});
  CHECK_GRAD(with(1, 2), {random({1, 2, 1, 1}, 1), random({1, 1, 3, 3}, 2), random({1}, 3)});
  CHECK_GRAD(with(1, 0), {random({1, 1, 1, 1}, 1), random({1, 1, 1, 1}, 2), random({1}, 3)});
}

TEST_CASE("conv2d: agrees with the definition on many tiles, deep and shallow") {
  struct Case {
    Shape x, w;
    int stride, pad;
  };
  for (const auto& [xs, ws, stride, pad] :
       {Case{{2, 9, 11, 37}, {41, 37, 3, 3}, 1, 1}, Case{{1, 13, 10, 50}, {20, 50, 3, 3}, 2, 1},
        Case{{2, 16, 16, 3}, {33, 3, 8, 8}, 8, 0}, Case{{1, 5, 5, 400}, {24, 400, 3, 3}, 1, 1},
        Case{{1, 3, 4, 700}, {10, 700, 1, 1}, 2, 0}}) {
    const Tensor x = random(xs, 1), w = random(ws, 2), b = random({ws[0]}, 3);
    const Context ctx;
    Tape tape(ctx, false);
    const Var y = conv2d(tape, Var(x), Var(w), Var(b), stride, pad);
    CHECK(close(y.value, naive(x, w, b, y.shape(), stride, pad), 1e-12) == "");
    CHECK(float_agrees(with(stride, pad), {x, w, b}) == "");
  }
}

TEST_CASE("conv2d: gradients where the channels need several tiles") {
  CHECK(gradcheck(with(1, 1), {random({1, 2, 3, 14}, 1), random({18, 14, 3, 3}, 2), random({18}, 3)}) == "");
}

TEST_CASE("conv2d: the kept copy of a frozen kernel changes nothing") {
  const Context ctx;
  const Tensor x = random({2, 8, 8, 5}, 1, DType::float32), w = random({6, 5, 3, 3}, 2, DType::float32);
  Tensor frozen = w.clone();
  frozen.storage().constant = true;
  Tape tape(ctx, false);
  const Tensor y = conv2d(tape, Var(x), Var(w), Var(), 1, 1).value;
  for (int i = 0; i < 2; ++i) CHECK(close(conv2d(tape, Var(x), Var(frozen), Var(), 1, 1).value, y, 0) == "");
}

TEST_CASE("conv2d: the same bits for 1 and 2 threads") {
  std::vector<Tensor> results;
  for (const int threads : {1, 2}) {
    const Threads scope(threads);
    const Context ctx;
    Tape tape(ctx);
    const Var x = tape.input(random({3, 16, 16, 20}, 1, DType::float32)),
              w = tape.input(random({24, 20, 3, 3}, 2, DType::float32));
    const Var y = conv2d(tape, x, w, Var(), 2, 1);
    tape.backward(y, random(y.shape(), 4, DType::float32));
    for (const Tensor& t : {y.value, tape.grad(x), tape.grad(w)}) results.push_back(t.clone());
  }
  for (size_t i = 0; i < 3; ++i) CHECK(close(results[i], results[i + 3], 0) == "");
}

TEST_CASE("conv2d: shapes that do not fit are refused") {
  const Context ctx;
  Tape tape(ctx, false);
  CHECK_THROWS_WITH(conv2d(tape, Var(random({1, 4, 4, 3}, 1)), Var(random({2, 2, 3, 3}, 2)), Var(), 1, 1),
                    "[conv2d] expected x (B, H, W, I) and w (O, I, kh, kw), got (1,4,4,3) and (2,2,3,3)");
}
