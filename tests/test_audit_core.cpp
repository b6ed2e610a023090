// Protects the audit itself (train/audit.h), on the CPU and in the emulated build on the device: a sound step
// passes in every type, and what is planted in it is found in the one row where it stands.
#include "catch.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "autograd/functions.h"
#include "core/dispatch.h"
#include "gradcheck.h"
#include "nn/transformer.h"
#include "ops/broadcast.h"
#include "train/audit.h"

using namespace gmail;
using namespace gmail::test;

namespace {

enum class Planted : uint8_t { nothing, result, gradient, nan };

// The identity, or on the backend (not in float64) a thousandth too large in one direction, or NaN.
Var suspect(Tape& tape, const Var& x, Planted planted) {
  if (tape.logging())
    return tape.log("suspect", "", {x}, [=](Tape& t, const Vars& v) { return suspect(t, v[0], planted); });
  const bool exact = x.dtype() == DType::float64;
  const double wrong = planted == Planted::nan ? std::nan("") : 1.001;
  const double forward = exact || planted == Planted::gradient || planted == Planted::nothing ? 1 : wrong;
  const double backward = exact || planted != Planted::gradient ? 1 : wrong;
  Tensor y = tape.empty(x.shape(), x.dtype());
  GMAIL_RUN(tape.ctx(), scale_forward, y, x.value, forward);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), scale_backward, dx, dy, backward);
  });
}

struct Model {
  Block first{"first", 12, 3, 20, Activation::quick_gelu, 1e-5},
      second{"second", 12, 3, 20, Activation::quick_gelu, 1e-5};
  Param scale = make_param("scale", {}, false);
};

// Two blocks, the first with LoRA on a frozen base, a contrastive loss of two tokens.
AuditStep step_with(Planted planted) {
  const auto model = std::make_shared<Model>();
  ParamList params;
  for (Block* block : {&model->first, &model->second}) {
    block->init(2, 1);
    block->collect(params);
  }
  freeze(params);
  params.clear();
  model->first.self_attn.q_proj.add_lora(2, 2, 3);
  init_normal(model->first.self_attn.q_proj.lora->b, 0.1, 4);
  model->second.mlp.fc1.weight.trainable = model->second.layer_norm2.bias.trainable = true;
  model->second.self_attn.k_proj.bias->trainable = true;  // its true gradient is 0
  model->scale.value.fill(1.5);
  for (Block* block : {&model->first, &model->second}) block->collect(params);
  params.push_back(&model->scale);
  const auto loss = [=](Tape& tape, DType type) {
    const Var x(tape.ctx().here(random({5, 4, 12}, 7, DType::float32).to(type)));
    const Var h = suspect(tape, model->first.forward(tape, x, {}), planted);
    const Var z = model->second.forward(tape, h, {.causal = true, .keys = {}});
    const Var y = cast(tape, cast(tape, z, statistics_of(type)), type);  // no ops where the types are equal
    const auto row = [&](double t) {
      return l2_normalize(tape, gather_rows(tape, y, Tensor::full({5}, t, DType::int32)));
    };
    return info_nce(tape, row(1), row(3), model->scale.on(tape), {.symmetric = true, .group = {}});
  };
  return {"two blocks", "5 rows", params, loss};
}

std::vector<Context> backends() {
  std::vector<Context> all(1);
  if (why_no_cuda().empty())
    for (const DType type : {DType::float32, DType::bfloat16}) all.push_back(make_cuda_context(type));
  return all;
}

AuditReport run(const Context& ctx, Planted planted, bool all = false) {
  return audit(ctx, [=] { return step_with(planted); },
               {.all = all, .repeats = 1, .tolerance = 0, .progress = {}});
}

}  // namespace

TEST_CASE("audit: a sound step passes, alone and as a whole", "[device]") {
  for (const Context& ctx : backends()) {
    const AuditReport report = run(ctx, Planted::nothing);
    INFO(name_of(ctx.device) << " " << name_of(ctx.precision) << ": op " << report.total.forward.alone << " "
                             << report.total.backward.alone << ", loss " << report.loss_error << ", gradient "
                             << report.gradient_error);
    CHECK(report.failures() == 0);
    CHECK_FALSE(report.total.failed);
    CHECK(report.total.forward.alone > 0);  // something was rounded, something compared
    CHECK(report.total.backward.alone > 0);
    CHECK(report.gradient_error > 0);
    CHECK(report.total.forward.step > report.total.forward.alone / 100);
    CHECK(report.step_ms > 0);
    CHECK(report.total.forward.ms > 0);
    CHECK(report.trained == 2 * 2 * 12 + 20 * 12 + 12 + 12 + 1);
    CHECK(report.parameters > report.trained);
    const auto casts = std::count_if(report.rows.begin(), report.rows.end(),
                                     [](const AuditRow& row) { return row.op == "cast"; });
    CHECK(casts == (ctx.precision == DType::bfloat16 ? 2 : 0));
  }
}

TEST_CASE("audit: what is planted is found where it stands, and nowhere else", "[device]") {
  for (const Context& ctx : backends()) {
    if (ctx.precision == DType::bfloat16) continue;  // a thousandth is less than its rounding
    for (const Planted planted : {Planted::result, Planted::gradient, Planted::nan}) {
      const AuditReport report = run(ctx, planted, true);
      INFO(name_of(ctx.device) << ", planted " << static_cast<int>(planted));
      CHECK(report.failures() >= 1);
      CHECK(report.total.failed);
      for (const AuditRow& row : report.rows) {
        INFO(row.op << " #" << row.first << ": " << row.forward.alone << ", " << row.backward.alone);
        CHECK(row.failed == (row.op == "suspect"));
      }
      const AuditRow& row = *std::find_if(report.rows.begin(), report.rows.end(),
                                          [](const AuditRow& r) { return r.op == "suspect"; });
      CHECK((planted != Planted::nan || std::isnan(row.forward.alone)));
      CHECK((planted != Planted::result || std::abs(row.forward.alone - 1e-3) < 1e-5));
      CHECK((planted != Planted::gradient || std::abs(row.backward.alone - 1e-3) < 1e-5));
      if (planted == Planted::nan) CHECK(report.failures() == 3);  // and loss and gradient
      if (planted == Planted::gradient) CHECK(report.gradient_error > report.tolerance.step);
    }
  }
}

TEST_CASE("audit: equal ops share a row; their sums are those of the rows apart") {
  const AuditReport together = run(Context(), Planted::nothing),
                    apart = run(Context(), Planted::nothing, true);
  CHECK(static_cast<int64_t>(apart.rows.size()) == apart.ops);
  CHECK(together.rows.size() < apart.rows.size());
  CHECK(together.ops == apart.ops);
  int64_t calls = 0;
  double flop = 0;
  for (const AuditRow& row : together.rows) {
    calls += row.calls;
    flop += row.forward.flop + row.backward.flop;
  }
  CHECK(calls == apart.ops);
  CHECK(flop == apart.total.forward.flop + apart.total.backward.flop);
  CHECK(together.total.forward.alone == apart.total.forward.alone);
}

TEST_CASE("audit: the work of an op is counted by hand") {
  const Context ctx;
  Tape tape(ctx);
  OpLog log;
  tape.log_to(log);
  const auto f = [](const Shape& shape) { return random(shape, 1, DType::float32); };
  const Var x = tape.input(f({3, 5, 7})), frozen = tape.constant(f({11, 7})), b = tape.input(f({11}));
  const Var y = linear(tape, x, frozen, b);
  const Var z = linear(tape, y, tape.input(f({7, 11})), Var(), x);
  const Var o = attention(tape, z, z, z, 1);
  const Var s = softmax(tape, slice(tape, reshape(tape, o, {15, 7}), 0, 0, 4));
  tape.backward(s, f({4, 7}));
  REQUIRE(log.size() == 6);
  const double N = 15, I = 7, O = 11, a = 4 * 3 * 5 * 5 * 7;
  CHECK(work_of(log[0]).forward_flop == 2 * N * I * O);
  CHECK(work_of(log[0]).backward_flop == 2 * N * I * O);  // dx alone
  CHECK(work_of(log[0]).forward_bytes == 4 * (N * I + I * O + O + N * O));
  CHECK(work_of(log[0]).backward_bytes == 4 * (N * O + I * O + N * I + O));  // dy, w; dx, db
  CHECK(work_of(log[1]).backward_flop == 4 * N * I * O);
  CHECK(work_of(log[1]).backward_bytes == 4 * (N * I + 2 * N * O + 2 * I * O));  // residual: dy itself
  CHECK(work_of(log[2]).forward_flop == a);
  CHECK(work_of(log[2]).backward_flop == 2 * a);
  CHECK(work_of(log[2]).backward_bytes == 4 * 8 * N * I);  // do, o, q, k, v; dq, dk, dv
  CHECK(work_of(log[3]).forward_bytes == 0);
  CHECK(work_of(log[4]).forward_bytes == 4 * 2 * 4 * I);
  CHECK(work_of(log[5]).backward_bytes == 4 * 3 * 4 * I);  // dy, y; dx
  CHECK(work_of(log[5]).backward_flop == 0);
}

TEST_CASE("audit: an op that does not say what it is, is refused") {
  const Context ctx;
  Tape tape(ctx);
  OpLog log;
  tape.log_to(log);
  const Var x = tape.input(random({3}, 1));
  CHECK_THROWS_AS((void)tape.record(x.value, {x}, [](const Tensor&) {}), Error);
  CHECK(log.empty());
  const Var y = suspect(tape, x, Planted::nothing);
  tape.backward(y, random({3}, 2));
  REQUIRE(log.size() == 1);
  CHECK(log[0].name == "suspect");
  CHECK(close(log[0].dy, random({3}, 2), 0) == "");
}

TEST_CASE("audit: the work of a layer with LoRA is counted by hand") {
  const Context ctx;
  Tape tape(ctx);
  OpLog log;
  tape.log_to(log);
  const auto f = [](const Shape& shape) { return random(shape, 1, DType::float32); };
  const double N = 15, I = 7, O = 11, r = 2;
  for (const bool deeper : {false, true}) {  // does x want a gradient?
    const Var x = deeper ? tape.input(f({15, 7})) : Var(f({15, 7}));
    const LoraVars layer{Var(f({11, 7})), Var(), tape.input(f({2, 7})), tape.input(f({11, 2})), 1, Var()};
    const Vars y = lora_linear(tape, x, {layer, layer});
    CHECK(work_of(log.back()).forward_flop == 2 * N * (I * O + r * (I + O)));
    log.back().dy = y[1].value;
    const double update = 2 * N * r * (I + 2 * O), dx = 2 * N * (I * O + r * I);  // da, dl, db; dx
    CHECK(work_of(log.back()).backward_flop == update + (deeper ? dx : 0));
  }
  CHECK(log.size() == 4);
}
