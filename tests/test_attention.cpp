// Protects attention: equations (1)-(3) for several heads, causal and key masks (one row fully masked), Tq !=
// Tk, blocks of rows, a shared q = k = v, agreement with softmax(scale q k^T) v, equal bits for every number
// of threads. On the emulated device: the tensor-core tiles and the naive kernels, in bfloat16, for the
// lengths and head sizes that they treat differently, gradients that are added to or absent.
#include "catch.h"

#include <cmath>

#include "autograd/functions.h"
#include "core/cuda_options.h"
#include "devices.h"
#include "gradcheck.h"
#include "threads.h"
#if GMAIL_EMULATED
#include "emulator.h"
#endif

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

#if GMAIL_CUDA
namespace {

struct Case {
  int64_t B, heads, D, Tq, Tk;
  AttentionMask mask = {};
  bool add = false;  // the gradients add to what is there
  bool want_q = true, want_k = true, want_v = true;
  int64_t offset = 0;  // elements from a 16-byte boundary to the first of q
  AttentionEngine engine = AttentionEngine::own;
};

// o, dq, dk, dv
using Results = std::vector<Tensor>;

Results reference(const Case& c, const std::vector<Tensor>& in) {
  Results r;
  for (const Tensor& t : {in[0], in[0], in[1], in[2]}) r.push_back(Tensor::zeros(t.shape(), DType::float64));
  Tensor l = Tensor::zeros({c.B, c.heads, c.Tq}, DType::float64);
  const auto heads = static_cast<int>(c.heads);
  cpu::attention_forward(r[0], l, in[0], in[1], in[2], heads, c.mask);
  cpu::attention_backward({r[1]}, {r[2]}, {r[3]}, in[3], r[0], l, in[0], in[1], in[2], heads, c.mask);
  for (size_t i = 1; i < 4 && c.add; ++i)
    for (int64_t e = 0; e < r[i].numel(); ++e) r[i].data<double>()[e] += in[i - 1].at(e);
  return r;
}

// the gradients lie over copies of q, k and v, so that adding has something to add to
Results device_results(const Case& c, const std::vector<Tensor>& in, Stream stream) {
  const auto there = [&](const Tensor& t, int64_t offset = 0) {
    Tensor padded = Tensor::zeros({offset + t.numel(), 1}, DType::float64);
    for (int64_t e = 0; e < t.numel(); ++e) padded.data<double>()[offset + e] = t.at(e);
    return padded.to(DType::bfloat16).to(Device::cuda).rows(offset, offset + t.numel()).reshape(t.shape());
  };
  const Tensor q = there(in[0], c.offset), k = there(in[1]), v = there(in[2]), d_o = there(in[3]);
  Results r = {there(in[0]), there(in[0]), there(in[1]), there(in[2])};
  Tensor l = Tensor::zeros({c.B, c.heads, c.Tq}, DType::float32).to(Device::cuda);
  AttentionMask mask = c.mask;
  if (mask.keys) mask.keys = mask.keys.to(Device::cuda);
  const auto grad = [&](bool want, const Tensor& t) { return want ? Grad{t, c.add} : Grad(); };
  const auto heads = static_cast<int>(c.heads);
  cuda_options().attention = c.engine;
  cuda::attention_forward(r[0], l, q, k, v, heads, mask, stream);
  cuda::attention_backward(grad(c.want_q, r[1]), grad(c.want_k, r[2]), grad(c.want_v, r[3]), d_o, r[0], l, q,
                           k, v, heads, mask, stream);
  cuda_options().attention = AttentionEngine::own;
  for (Tensor& t : r) t = t.to(Device::cpu).to(DType::float64);
  return r;
}

// "" or what differs, under every schedule; a gradient that is not wanted must be left as it was
std::string agrees(const Case& c) {
  const auto rounded = [](const Shape& shape, uint64_t salt) {
    return random(shape, salt, DType::bfloat16).to(DType::float64);
  };
  const Shape queries = {c.B, c.Tq, c.heads * c.D}, keys = {c.B, c.Tk, c.heads * c.D};
  const std::vector<Tensor> in = {rounded(queries, 1), rounded(keys, 2), rounded(keys, 3),
                                  rounded(queries, 4)};
  Results exact = reference(c, in);
  const bool want[] = {true, c.want_q, c.want_k, c.want_v};
  for (size_t i = 1; i < 4; ++i)
    if (!want[i]) exact[i] = in[i - 1];
  std::string worst;
  on_the_device([&](const Context& ctx) {
    const Results got = device_results(c, in, ctx.stream);
    for (size_t i = 0; i < 4 && worst.empty(); ++i) {
      const std::string difference = close(got[i], exact[i], want[i] ? 1e-2 : 0);
      if (!difference.empty()) worst = concat("result ", i, ": ", difference);
    }
  });
  return worst;
}

Tensor every_third_hidden(int64_t B, int64_t Tk) {  // and of the last image every key
  std::vector<int32_t> keys;
  for (int64_t i = 0; i < B * Tk; ++i) keys.push_back(i % 3 != 0 && i / Tk + 1 < B ? 1 : 0);
  return Tensor::from(keys, {B, Tk});
}

}  // namespace

TEST_CASE("attention: tensor-core tiles of the lengths of the models", "[device]") {
  CHECK(agrees({1, 3, 64, 1, 1}) == "");
  CHECK(agrees({1, 3, 64, 7, 7}) == "");
  CHECK(agrees({1, 3, 64, 50, 50}) == "");
  CHECK(agrees({1, 1, 64, 77, 77, {true, {}}}) == "");
  CHECK(agrees({1, 1, 64, 197, 197}) == "");
  CHECK(agrees({1, 1, 64, 257, 257}) == "");
  CHECK(agrees({1, 1, 32, 300, 300, {true, {}}}) == "");
}

TEST_CASE("attention: tensor-core tiles with masks and other numbers of keys", "[device]") {
  CHECK(agrees({3, 1, 32, 20, 70, {false, every_third_hidden(3, 70)}}) == "");
  CHECK(agrees({2, 1, 32, 40, 150, {true, every_third_hidden(2, 150)}}) == "");
  CHECK(agrees({1, 1, 64, 90, 20, {true, {}}}) == "");  // rows that see nothing
  CHECK(agrees({1, 1, 32, 310, 40, {true, {}}}) == "");
  CHECK(agrees({1, 1, 64, 33, 300}) == "");
  CHECK(agrees({1, 1, 128, 140, 70, {true, {}}}) == "");
}

TEST_CASE("attention: tensor-core tiles of odd head sizes and of rows that are not aligned", "[device]") {
  CHECK(agrees({1, 3, 24, 20, 30}) == "");
  CHECK(agrees({2, 3, 21, 20, 30}) == "");
  CHECK(agrees({1, 1, 70, 20, 30}) == "");
  CHECK(agrees({.B = 1, .heads = 1, .D = 32, .Tq = 20, .Tk = 30, .offset = 1}) == "");
}

TEST_CASE("attention: tensor-core tiles add to gradients or leave them out", "[device]") {
  CHECK(agrees({.B = 1, .heads = 3, .D = 32, .Tq = 20, .Tk = 30, .add = true}) == "");
  CHECK(agrees({.B = 1, .heads = 1, .D = 32, .Tq = 300, .Tk = 30, .add = true}) == "");
  CHECK(agrees({.B = 1, .heads = 1, .D = 20, .Tq = 20, .Tk = 30, .add = true, .want_k = false}) == "");
  CHECK(agrees({.B = 1, .heads = 1, .D = 32, .Tq = 20, .Tk = 30, .want_q = false}) == "");
  CHECK(agrees({.B = 1, .heads = 1, .D = 32, .Tq = 20, .Tk = 30, .want_k = false, .want_v = false}) == "");
}

TEST_CASE("attention: naive kernels in bfloat16", "[device]") {
  const AttentionEngine naive = AttentionEngine::naive;
  CHECK(agrees({.B = 1, .heads = 3, .D = 8, .Tq = 7, .Tk = 20, .engine = naive}) == "");
  CHECK(agrees({.B = 1, .heads = 1, .D = 40, .Tq = 7, .Tk = 40, .mask = {true, {}}, .engine = naive}) == "");
}

#if GMAIL_EMULATED
TEST_CASE("attention: a device with less shared memory takes the queries in more blocks") {
  emulator::set_shared_memory(size_t{99} << 10U);
  CHECK(agrees({1, 1, 64, 130, 130}) == "");
  CHECK(agrees({1, 1, 32, 257, 257, {true, {}}}) == "");
  emulator::set_shared_memory(size_t{227} << 10U);
}
#endif
#endif
