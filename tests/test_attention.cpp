// Protects attention: equations (1)-(3) for several heads, causal and key masks (one row fully masked), Tq !=
// Tk, blocks of rows, a shared q = k = v, agreement with softmax(scale q k^T) v, equal bits for every number
// of threads.
#include "catch.h"

#include <cmath>

#include "autograd/functions.h"
#include "gradcheck.h"
#include "threads.h"

using namespace gmail;
using namespace gmail::test;

namespace {

Function with(int heads, bool causal, const Tensor& keys = Tensor()) {
  return [=](Tape& tape, const std::vector<Var>& v) {
    return attention(tape, v[0], v[1], v[2], heads, {causal, keys});
  };
}

// Equation (1), one element at a time.
Tensor naive(const Tensor& q, const Tensor& k, const Tensor& v, int heads, bool causal) {
  const int64_t B = q.size(0), Tq = q.size(1), Tk = k.size(1), C = q.size(2), D = C / heads;
  Tensor o = Tensor::zeros(q.shape(), DType::float64);
  for (int64_t b = 0; b < B; ++b)
    for (int64_t c = 0; c < C; ++c)
      for (int64_t i = 0; i < Tq; ++i) {
        double total = 0, sum = 0;
        for (int64_t j = 0; j < (causal ? i + 1 + Tk - Tq : Tk); ++j) {
          double s = 0;
          for (int64_t d = 0; d < D; ++d)
            s += q.at((b * Tq + i) * C + c / D * D + d) * k.at((b * Tk + j) * C + c / D * D + d);
          const double p = std::exp(s / std::sqrt(static_cast<double>(D)));
          total += p;
          sum += p * v.at((b * Tk + j) * C + c);
        }
        o.data<double>()[(b * Tq + i) * C + c] = total > 0 ? sum / total : 0;
      }
  return o;
}

}  // namespace

TEST_CASE("attention: gradients", "[device]") {
  for (const bool causal : {false, true}) {
    CHECK_GRAD(with(2, causal), {random({2, 5, 6}, 1), random({2, 5, 6}, 2), random({2, 5, 6}, 3)});
    CHECK_GRAD(with(1, causal), {random({1, 3, 5}, 1), random({1, 7, 5}, 2), random({1, 7, 5}, 3)});
    CHECK_GRAD(with(3, causal), {random({2, 1, 3}, 1), random({2, 4, 3}, 2), random({2, 4, 3}, 3)});
    CHECK_GRAD(with(1, causal), {random({1, 1, 1}, 1), random({1, 1, 1}, 2), random({1, 1, 1}, 3)});
  }
  CHECK_GRAD(with(1, true),
             {random({1, 6, 4}, 1), random({1, 3, 4}, 2), random({1, 3, 4}, 3)});  // rows that see nothing
}

TEST_CASE("attention: gradients with a key mask, one image without a visible key", "[device]") {
  const Tensor keys = Tensor::from(std::vector<int32_t>{1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0}, {3, 4});
  CHECK_GRAD(with(2, false, keys), {random({3, 5, 4}, 1), random({3, 4, 4}, 2), random({3, 4, 4}, 3)});
  CHECK_GRAD(with(2, true, keys), {random({3, 4, 4}, 1), random({3, 4, 4}, 2), random({3, 4, 4}, 3)});
  const Context ctx;
  Tape tape(ctx, false);
  const Var o = attention(tape, Var(random({3, 5, 4}, 1)), Var(random({3, 4, 4}, 2)),
                          Var(random({3, 4, 4}, 3)), 2, {false, keys});
  CHECK(close(o.value.rows(1, 2), Tensor::zeros({1, 5, 4}, DType::float64), 0) == "");
}

TEST_CASE("attention: one tensor as query, key and value", "[device]") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) {
    return attention(tape, v[0], v[0], v[0], 2, {true, {}});
  };
  CHECK_GRAD(f, {random({1, 7, 6}, 1)});
}

TEST_CASE("attention: several blocks of rows agree with the definition") {
  for (const bool causal : {false, true}) {
    const Tensor q = random({2, 130, 24}, 1), k = random({2, 141, 24}, 2), v = random({2, 141, 24}, 3);
    const Context ctx;
    Tape tape(ctx, false);
    CHECK(close(attention(tape, Var(q), Var(k), Var(v), 3, {causal, {}}).value, naive(q, k, v, 3, causal),
                1e-12) == "");
    CHECK(float_agrees(with(3, causal), {q, k, v}) == "");
  }
}

TEST_CASE("attention: gradients over several blocks of rows") {
  for (const bool causal : {false, true})
    CHECK(gradcheck(with(1, causal), {random({1, 67, 2}, 1), random({1, 67, 2}, 2), random({1, 67, 2}, 3)}) ==
          "");
}

TEST_CASE("attention: the same bits for 1 and 2 threads") {
  std::vector<Tensor> results;
  for (const int threads : {1, 2}) {
    const Threads scope(threads);
    const Context ctx;
    Tape tape(ctx);
    const Var q = tape.input(random({4, 65, 48}, 1, DType::float32)),
              k = tape.input(random({4, 65, 48}, 2, DType::float32));
    const Var v = tape.input(random({4, 65, 48}, 3, DType::float32)), o = attention(tape, q, k, v, 3);
    tape.backward(o, random(o.shape(), 4, DType::float32));
    for (const Tensor& t : {o.value, tape.grad(q), tape.grad(k), tape.grad(v)}) results.push_back(t.clone());
  }
  for (size_t i = 0; i < 4; ++i) CHECK(close(results[i], results[i + 4], 0) == "");
}
