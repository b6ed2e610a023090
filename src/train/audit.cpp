#include "train/audit.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <set>

#include "core/cuda_options.h"
#include "core/device_memory.h"
#include "core/dispatch.h"
#include "core/rng.h"

namespace gmail {

AuditTolerance audit_tolerance(DType precision, bool tf32) {
  if (precision == DType::bfloat16)
    return {2e-2, 1e-1, "bfloat16 rounds at 4e-03: every result stored and factor multiplied, some twice"};
  if (tf32) return {2e-3, 1e-2, "TF32 rounds at 5e-04: both factors of every product"};
  return {1e-5, 1e-4, "float32 rounds at 6e-08: two digits for sums of thousands, one for hundreds of ops"};
}

double worse(double a, double b) { return a >= b || std::isnan(a) ? a : b; }

int64_t AuditReport::failures() const {
  int64_t n = (loss_error <= tolerance.step ? 0 : 1) + (gradient_error <= tolerance.step ? 0 : 1);
  for (const AuditRow& row : rows) n += row.failed ? 1 : 0;
  return n;
}

namespace {

// --- errors ---

Tensor exact_copy(const Tensor& t) { return t ? t.to(Device::cpu).to(DType::float64) : t; }

double largest(const Tensor& t) {
  double m = 0;
  for (const double v : t.span<double>()) m = worse(m, std::abs(v));
  return m;
}

// Eq. (1), or with a size of its own eq. (2).
double error_of(const Tensor& a, const Tensor& r, double size = 0) {
  GMAIL_CHECK(a.defined() == r.defined() && a.shape() == r.shape(), "[audit] a result ", a.shape(), " for ",
              r.shape());
  if (!a) return 0;
  const Tensor mine = exact_copy(a);
  const auto x = mine.span<double>(), y = r.span<double>();
  double difference = 0;
  for (size_t i = 0; i < x.size(); ++i) difference = worse(difference, std::abs(x[i] - y[i]));
  return difference == 0 ? 0 : difference / worse(size, largest(r));
}

// --- the step ---

double milliseconds(const Context& ctx) {  // on the clock, once the device is done
  if (ctx.device == Device::cuda) GMAIL_CUDA_ONLY(wait_for(ctx.stream));
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// One side's step, and its log.
struct Side {
  Context ctx;
  AuditStep step;
  DType type;
  OpLog log;
  double loss = 0;

  Side(const Context& context, AuditStep made, DType activations, DType parameters)
      : ctx(context), step(std::move(made)), type(activations) {
    for (Param* p : step.params) {
      p->value = ctx.here(p->value.to(parameters));
      p->value.storage().constant = !p->trainable;
      p->slot = GradSlot{};
    }
    loss = run(&log);
  }
  double run(OpLog* keep) {
    for (Param* p : step.params) p->slot.written = false;
    Tape tape(ctx);
    if (keep != nullptr) tape.log_to(*keep);
    const Var value = step.loss(tape, type);
    tape.backward(value);
    return keep != nullptr ? value.value.item() : 0;
  }
};

// --- an op alone ---

struct Alone {
  Tensor y;
  std::vector<Tensor> grads;
  double forward_ms = 0, backward_ms = 0;
};

Alone run_alone(const Context& ctx, const OpCall& call, const std::vector<Tensor>& inputs, const Tensor& dy) {
  Tape tape(ctx);
  Vars vars;
  for (size_t i = 0; i < inputs.size(); ++i)
    vars.push_back(!inputs[i]                 ? Var()
                   : call.inputs[i].tracked() ? tape.input(inputs[i])
                                              : tape.constant(inputs[i]));
  Alone out;
  const double start = milliseconds(ctx);
  const Var y = call.again(tape, vars);
  const double half = milliseconds(ctx);
  if (dy) tape.backward(y, dy);
  out.backward_ms = dy ? milliseconds(ctx) - half : 0;
  out.forward_ms = half - start;
  out.y = y.value;
  for (const Var& v : vars) out.grads.push_back(dy && v.tracked() ? tape.grad(v) : Tensor());
  return out;
}

// The same in float64. A cast, which only changes the type, is the identity there.
Alone run_exactly(const OpCall& call, const std::vector<Tensor>& inputs, const Tensor& dy) {
  if (call.name == "cast") return {inputs[0], {call.inputs[0].tracked() ? dy : Tensor()}};
  static const Context cpu;
  return run_alone(cpu, call, inputs, dy);
}

Tensor with_random_signs(const Tensor& t, uint64_t index) {
  Tensor out = t.clone();
  Rng rng(0, Purpose::audit, 0, index);
  for (double& v : out.span<double>()) v = rng.chance(0.5) ? v : -v;
  return out;
}

// Call number k of the backend's log, `call`, with the inputs and the dy of the reference.
void audit_alone(AuditRow& row, const Context& ctx, const OpCall& call, const OpCall& reference,
                 int repeats) {
  std::vector<Tensor> inputs, exact_inputs;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const Tensor& there = call.inputs[i].value;
    inputs.push_back(there ? ctx.here(reference.inputs[i].value.to(there.dtype())) : Tensor());
    if (there) inputs.back().storage().constant = there.storage().constant;
    exact_inputs.push_back(exact_copy(inputs.back()));
  }
  const Tensor dy = call.dy ? ctx.here(reference.dy.to(call.dy.dtype())) : Tensor();
  const Tensor exact_dy = exact_copy(dy);

  const Alone exact = run_exactly(call, exact_inputs, exact_dy);
  Alone mine = run_alone(ctx, call, inputs, dy);
  row.forward.alone = error_of(mine.y, exact.y);
  if (dy) {
    const Alone signs =
        run_exactly(call, exact_inputs, with_random_signs(exact_dy, static_cast<uint64_t>(row.first)));
    for (size_t i = 0; i < exact.grads.size(); ++i) {
      if (!exact.grads[i]) continue;
      const double size = worse(largest(exact.grads[i]), largest(signs.grads[i]));
      row.backward.alone = worse(row.backward.alone, error_of(mine.grads[i], exact.grads[i], size));
    }
  }
  row.forward.ms = row.backward.ms = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeats; ++i) {
    const Alone timed = run_alone(ctx, call, inputs, dy);
    row.forward.ms = std::min(row.forward.ms, timed.forward_ms);
    row.backward.ms = std::min(row.backward.ms, timed.backward_ms);
  }
}

// --- the whole ---

// The calls of the reference in the order of `mine`. The backend may cast where float64 has one type only;
// such a call is its own reference.
OpLog matched(const OpLog& mine, const OpLog& reference) {
  OpLog out;
  size_t next = 0;
  for (const OpCall& call : mine) {
    if (next < reference.size() && reference[next].name == call.name) {
      GMAIL_CHECK(reference[next].y.shape() == call.y.shape(), "[audit] op ", out.size(), ", ", call.name,
                  ": a result ", call.y.shape(), ", in the reference ", reference[next].y.shape());
      out.push_back(reference[next++]);
      continue;
    }
    GMAIL_CHECK(call.name == "cast", "[audit] op ", out.size(), " is ", call.name, ", in the reference ",
                next < reference.size() ? reference[next].name : "nothing");
    OpCall own = call;
    for (Var& v : own.inputs) v.value = exact_copy(v.value);
    own.y.value = exact_copy(own.y.value);
    own.dy = exact_copy(own.dy);
    out.push_back(std::move(own));
  }
  GMAIL_CHECK(next == reference.size(), "[audit] the backend ran ", mine.size(), " ops, the reference ",
              reference.size());
  return out;
}

AuditRow row_of(const Context& ctx, const OpCall& call, const OpCall& reference, int64_t index, int repeats) {
  GMAIL_CHECK(call.dy.defined() == reference.dy.defined(), "[audit] op ", index, ", ", call.name,
              ": a gradient arrives on one side only");
  AuditRow row;
  row.op = call.name;
  row.equations = call.equations;
  for (const Var& v : call.inputs)
    row.inputs.push_back(!v ? "" : concat(name_of(v.dtype()), " ", v.shape(), v.tracked() ? " grad" : ""));
  row.first_input = call.inputs.at(0).shape();
  row.result = call.y.shape();
  row.first = index;
  row.has_backward = call.dy.defined();
  audit_alone(row, ctx, call, reference, repeats);
  row.forward.step = error_of(call.y.value, reference.y.value);
  row.backward.step = error_of(call.dy, reference.dy);
  const OpWork work = work_of(call);
  row.forward.flop = work.forward_flop;
  row.forward.bytes = work.forward_bytes;
  row.backward.flop = work.backward_flop;
  row.backward.bytes = work.backward_bytes;
  return row;
}

void add_pass(AuditPass& sum, const AuditPass& one) {
  sum.flop += one.flop;
  sum.bytes += one.bytes;
  sum.ms += one.ms;
  sum.alone = worse(sum.alone, one.alone);
  sum.step = worse(sum.step, one.step);
}

void add_row(AuditRow& sum, const AuditRow& one) {
  sum.calls += one.calls;
  add_pass(sum.forward, one.forward);
  add_pass(sum.backward, one.backward);
  sum.has_backward = sum.has_backward || one.has_backward;
  sum.failed = sum.failed || one.failed;
}

bool same_kind(const AuditRow& a, const AuditRow& b) {
  return a.op == b.op && a.equations == b.equations && a.inputs == b.inputs && a.result == b.result &&
         a.has_backward == b.has_backward;
}

// The gradients of the two steps, eq. (3), and the parameter whose gradient is worst.
void compare_gradients(AuditReport& report, const Side& mine, const Side& reference) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < mine.step.params.size(); ++i) {
    const GradSlot &a = mine.step.params[i]->slot, &r = reference.step.params[i]->slot;
    GMAIL_CHECK(a.written == r.written, "[audit] the gradient of ", mine.step.params[i]->name,
                " arrives on one side only");
    if (!a.written) continue;
    const Tensor got = exact_copy(a.grad);
    const auto x = got.span<double>(), y = r.grad.span<double>();
    for (size_t k = 0; k < x.size(); ++k) {
      difference += (x[k] - y[k]) * (x[k] - y[k]);
      size += y[k] * y[k];
    }
    const double error = error_of(got, r.grad), worst = report.worst_parameter_error;
    if (error <= worst || std::isnan(worst)) continue;
    report.worst_parameter_error = error;
    report.worst_parameter = mine.step.params[i]->name;
  }
  report.gradient_error = std::sqrt(difference / size);
}

// parameters that share their memory count once
void count_parameters(AuditReport& report, const ParamList& params) {
  std::set<const std::byte*> seen;
  for (const Param* p : params) {
    if (!seen.insert(p->value.raw()).second) continue;
    report.parameters += p->value.numel();
    report.trained += p->trainable ? p->value.numel() : 0;
  }
}

}  // namespace

AuditReport audit(const Context& ctx, const MakeAuditStep& make, const AuditOptions& options) {
  AuditReport report;
  AuditStep made = make();
  report.model = made.model;
  report.batch = made.batch;
  report.device = ctx.device;
  report.precision = ctx.precision;
  report.tolerance = audit_tolerance(ctx.precision, ctx.device == Device::cuda && cuda_options().tf32);
  report.repeats = options.repeats;
  if (options.tolerance > 0) report.tolerance.op = options.tolerance;
  count_parameters(report, made.params);

  const Side reference({}, make(), DType::float64, DType::float64);
  Side mine(ctx, std::move(made), ctx.precision, DType::float32);
  report.loss = mine.loss;
  report.exact_loss = reference.loss;
  report.loss_error = std::abs(mine.loss - reference.loss) / std::abs(reference.loss);
  compare_gradients(report, mine, reference);

  const OpLog exact = matched(mine.log, reference.log);
  report.ops = static_cast<int64_t>(mine.log.size());
  report.total.calls = 0;
  for (size_t k = 0; k < mine.log.size(); ++k) {
    AuditRow row = row_of(ctx, mine.log[k], exact[k], static_cast<int64_t>(k), options.repeats);
    row.failed = !(worse(row.forward.alone, row.backward.alone) <= report.tolerance.op);
    add_row(report.total, row);
    if (options.progress) options.progress(static_cast<int64_t>(k) + 1, report.ops);
    const auto same = std::find_if(report.rows.begin(), report.rows.end(),
                                   [&](const AuditRow& other) { return same_kind(row, other); });
    if (options.all || same == report.rows.end())
      report.rows.push_back(std::move(row));
    else
      add_row(*same, row);
  }
  report.step_ms = std::numeric_limits<double>::infinity();
  for (int i = 0; i < options.repeats; ++i) {
    const double start = milliseconds(ctx);
    (void)mine.run(nullptr);
    report.step_ms = std::min(report.step_ms, milliseconds(ctx) - start);
  }
  return report;
}

}  // namespace gmail
