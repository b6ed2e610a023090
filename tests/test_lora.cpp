// Protects lora_linear: gradients of one layer and of several on one input, odd sizes and ranks, each
// optional input absent, results that nothing uses; that it equals its composition of linear layers, in float
// on the CPU bit for bit; that frozen parts get nothing; what the products of the device read and write.
#include "catch.h"

#include <utility>

#include "autograd/functions.h"
#include "core/device_memory.h"
#include "core/dispatch.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

namespace {

// x (2, N, I), then w, bias, a, b and residual of each layer
struct Size {
  int64_t O, r;
};
std::vector<Tensor> inputs(int64_t N, int64_t I, const std::vector<Size>& sizes,
                           DType type = DType::float64) {
  std::vector<Tensor> in{random({2, N, I}, 1, type)};
  for (const auto& [O, r] : sizes)
    for (const Shape& shape : {Shape{O, I}, Shape{O}, Shape{r, I}, Shape{O, r}, Shape{2, N, O}})
      in.push_back(random(shape, 1 + in.size(), type));
  return in;
}

std::vector<LoraVars> layers_of(const Vars& v) {
  std::vector<LoraVars> layers;
  for (size_t i = 1; i < v.size(); i += 5)
    layers.push_back({v[i], v[i + 1], v[i + 2], v[i + 3], 0.5 + 0.05 * static_cast<double>(i), v[i + 4]});
  return layers;
}

Var as_one_op(Tape& tape, const Vars& v) { return concat(tape, lora_linear(tape, v[0], layers_of(v)), 2); }

Var as_linear_layers(Tape& tape, const Vars& v) {
  Vars ys;
  for (const LoraVars& l : layers_of(v)) {
    const Var y = linear(tape, v[0], l.w, l.bias, l.residual);
    ys.push_back(!l.a ? y : linear(tape, linear(tape, v[0], l.a, Var()), l.b, Var(), y, l.scale));
  }
  return concat(tape, ys, 2);
}

struct Results {
  Tensor y;
  std::vector<Tensor> grads;  // absent where the input is frozen
};
template <class F>
Results run(const F& f, const std::vector<Tensor>& in, const std::vector<bool>& frozen,
            const Context& ctx = {}) {
  Tape tape(ctx);
  Vars v;
  for (size_t i = 0; i < in.size(); ++i)
    v.push_back(!in[i] || frozen[i] ? Var(ctx.here(in[i])) : tape.input(ctx.here(in[i])));
  const Var y = f(tape, v);
  tape.backward(y, ctx.here(random(y.shape(), 99, y.dtype())));
  Results out{y.value.to(Device::cpu).clone(), {}};
  for (const Var& x : v) out.grads.push_back(x.tracked() ? tape.grad(x).to(Device::cpu).clone() : Tensor());
  return out;
}

// y and every gradient, of which there must be as many
void check_same(const Results& a, const Results& b, double tolerance) {
  CHECK(close(a.y, b.y, tolerance) == "");
  for (size_t i = 0; i < a.grads.size(); ++i) {
    INFO("input " << i);
    CHECK(a.grads[i].defined() == b.grads[i].defined());
    if (a.grads[i]) CHECK(close(a.grads[i], b.grads[i], tolerance) == "");
  }
}

}  // namespace

TEST_CASE("lora: gradients of a layer", "[device]") {
  for (const int64_t rank : {1, 2, 5, 16, 17}) CHECK_GRAD(as_one_op, inputs(3, 6, {{5, rank}}));
  CHECK_GRAD(as_one_op, inputs(2, 16, {{8, 4}}));  // wide accesses
  auto bare = inputs(2, 7, {{9, 3}});
  bare[2] = bare[5] = Tensor();
  CHECK_GRAD(as_one_op, bare);
}

TEST_CASE("lora: gradients of layers that read one input", "[device]") {
  CHECK_GRAD(as_one_op, inputs(3, 8, {{8, 4}, {8, 4}, {8, 4}}));
  CHECK_GRAD(as_one_op, inputs(2, 5, {{3, 7}, {7, 9}, {5, 1}}));
  auto mixed = inputs(2, 6, {{4, 3}, {5, 2}, {6, 2}});  // the second without an update
  mixed[8] = mixed[9] = mixed[12] = Tensor();
  CHECK_GRAD(as_one_op, mixed);
}

TEST_CASE("lora: a result that nothing uses gives nothing") {
  const auto in = inputs(4, 6, {{5, 2}, {5, 3}, {5, 2}});
  for (const size_t used : {0U, 1U, 2U}) {
    const Context ctx;
    Tape tape(ctx);
    Vars v;
    for (const Tensor& t : in) v.push_back(tape.input(t));
    const Var y = lora_linear(tape, v[0], layers_of(v))[used];
    tape.backward(y, random(y.shape(), 99));
    const auto first = in.begin() + 1 + 5 * static_cast<int64_t>(used);
    std::vector<Tensor> alone(first, first + 5);
    alone.insert(alone.begin(), in[0]);
    const double scale = layers_of(v)[used].scale;
    const auto f = [scale](Tape& t, const Vars& u) {
      return lora_linear(t, u[0], {{u[1], u[2], u[3], u[4], scale, u[5]}})[0];
    };
    const Results expected = run(f, alone, std::vector<bool>(6, false));
    CHECK(close(tape.grad(v[0]), expected.grads[0], 0) == "");
    for (size_t i = 1; i < v.size(); ++i) {
      const bool own = (i - 1) / 5 == used;
      REQUIRE(tape.grad(v[i]).defined() == own);
      if (own) CHECK(close(tape.grad(v[i]), expected.grads[i - 5 * used], 0) == "");
    }
  }
}

TEST_CASE("lora: the linear layers that it is made of, whichever part is frozen", "[device]") {
  const Context gpu{Device::cuda, {}, DType::float32, std::make_shared<Arena>(Device::cuda)};
  for (const DType type : {DType::float64, DType::float32}) {
    const auto in = inputs(20, 24, {{24, 4}, {16, 3}, {24, 17}}, type);
    // none; w and bias; these and x; these and every a; all but one b
    for (int what = 0; what < 5; ++what) {
      std::vector<bool> frozen(in.size());
      for (size_t i = 0; i < in.size(); ++i) {
        const size_t part = i == 0 ? 5 : (i - 1) % 5;  // w, bias, a, b, residual, x
        frozen[i] = (what >= 1 && part <= 1) || (what == 2 && part == 5) || (what == 3 && part == 2) ||
                    (what == 4 && i != 9);
      }
      INFO(name_of(type) << ", " << what);
      const Results layers = run(as_linear_layers, in, frozen);
      check_same(run(as_one_op, in, frozen), layers, type == DType::float64 ? 1e-12 : 0);
      if (type == DType::float32 && why_no_cuda().empty())
        check_same(run(as_one_op, in, frozen, gpu), layers, 1e-5);
    }
  }
}

TEST_CASE("lora: factors that do not fit their weight are refused") {
  const Context ctx;
  Tape tape(ctx, false);
  auto in = inputs(2, 4, {{3, 2}});
  in[4] = random({3, 1}, 1);
  Vars v;
  for (const Tensor& t : in) v.emplace_back(t);
  CHECK_THROWS_WITH(as_one_op(tape, v), "[lora] a (2,4) and b (3,1) are no update of a weight (3,4)");
}

// The table of ops/lora.h, and beside it what is as small as a weight: q, k and v with frozen weights.
TEST_CASE("lora: what the device's products read and write", "[device]") {
  if (!why_no_cuda().empty()) return;
  const Context ctx{Device::cuda, {}, DType::float32, std::make_shared<Arena>(Device::cuda)};
  const int64_t N = 2 * 60, W = 32, R = 16;  // three ranks of 4, in whole packs
  const auto in = inputs(60, W, {{W, 4}, {W, 4}, {W, 4}}, DType::float32);
  auto moved = [before = GMAIL_CUDA_OR(product_elements(), int64_t{0})]() mutable {
    const int64_t now = GMAIL_CUDA_OR(product_elements(), int64_t{0});
    return now - std::exchange(before, now);
  };
  struct Moved {
    int64_t forward, backward;
  };
  const auto measure = [&](const auto& f, bool updates) {
    Tape tape(ctx);
    Vars v;
    for (size_t i = 0; i < in.size(); ++i) {
      const size_t part = (i + 4) % 5;  // w, bias, a, b, residual
      const bool update = part == 2 || part == 3, left_out = part == 4 || (update && !updates);
      const Tensor t = left_out && i > 0 ? Tensor() : ctx.here(in[i]);
      v.push_back(t && (update || i == 0) ? tape.input(t) : Var(t));
    }
    moved();
    const Var y = f(tape, v);
    const int64_t forward = moved();
    tape.backward(y, ctx.here(random(y.shape(), 99, DType::float32)));
    return Moved{forward, moved()};
  };
  const Moved frozen = measure(as_one_op, false), lora = measure(as_one_op, true);
  CHECK(frozen.forward == 6 * N * W + 3 * W * W);
  CHECK(frozen.backward == 8 * N * W + 3 * W * W);
  CHECK(lora.forward == frozen.forward);
  const int64_t small = 2 * (N + W) * R + 3 * (2 * N + 2 * W) * R + 3 * (N + W) * R;
  CHECK(lora.backward - frozen.backward == 8 * N * W + small - 3 * W * R - N * R);
  const Moved layers = measure(as_linear_layers, true);
  CHECK(layers.forward > 15 * N * W);
  CHECK(layers.backward > 23 * N * W);
}
