// An audit of a training step: every op of its tape on a backend, against the CPU in float64. What is asked
// of each op, forward and backward, is asked twice:
//
//   op alone    the op runs by itself on both sides. Its inputs and the gradient dy that arrives are those of
//               the float64 step, rounded to the types that they have in the backend's step: both sides see
//               the same numbers, and no op answers for another.
//   whole step  the step runs as in training; its results y and gradients dy, op by op, against those of the
//               float64 step. This holds what rounding has added up on the way.
//
// The error of a tensor a against its reference r is relative to the size of r:
//   (1)  e = max_i |a_i - r_i| / max_i |r_i|
//   (2)  for a gradient g(dy) of an op alone the size is max(max |g(dy)|, max |g(s dy)|), s random signs: g
//        is linear in dy, and a sum whose terms cancel (the bias of every key projection) is held against
//        its terms
//   (3)  the gradient of the step, all parameters together: |g - r|_2 / |r|_2
// Tolerances apply to (1) and (2) of each op alone, and to (1) of the loss and (3) of the whole step.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/param.h"

namespace gmail {

// A training step with fixed inputs. `loss` may run many times and must give the same each time.
struct AuditStep {
  std::string model, batch;  // in words: "CLIP, width 128, ..", "16 pairs"
  ParamList params;          // all that it uses, the frozen ones too
  // inputs are to have the type (float64 in the reference); the parameters have been put where they belong
  std::function<Var(Tape& tape, DType type)> loss;
};
using MakeAuditStep = std::function<AuditStep()>;  // called once a side; the same values each time

struct AuditTolerance {
  double op = 0, step = 0;
  std::string reason;  // in a line
};
// By what the products round their factors to: float32, TF32 (core/cuda_options.h) or bfloat16.
[[nodiscard]] AuditTolerance audit_tolerance(DType precision, bool tf32);

struct AuditOptions {
  bool all = false;      // a row for each op of the tape; otherwise equal ops with equal shapes share one
  int repeats = 3;       // timed runs, of which the fastest counts
  double tolerance = 0;  // of an op alone; 0: audit_tolerance()
  std::function<void(int64_t done, int64_t ops)> progress = {};
};

struct AuditPass {  // of one direction; a row's sum over its calls, and the worst error
  double flop = 0, bytes = 0, ms = 0;
  double alone = 0, step = 0;  // errors
};
struct AuditRow {
  std::string op, equations;        // "layer_norm", "layer_norm.h (1-3)": the header stands in src/ops/
  std::vector<std::string> inputs;  // "float32 (8,17,128)", + " grad" if its gradient is asked for
  Shape first_input, result;
  int64_t first = 0, calls = 1;  // number of the first call on the tape, how many
  bool has_backward = false, failed = false;
  AuditPass forward, backward;
};

struct AuditReport {
  std::string model, batch;
  Device device = Device::cpu;
  DType precision = DType::float32;
  AuditTolerance tolerance;
  int64_t parameters = 0, trained = 0, ops = 0;
  int repeats = 1;
  std::vector<AuditRow> rows;  // in the order of the tape
  AuditRow total;              // sums and worst errors of the rows

  double loss = 0, exact_loss = 0, loss_error = 0;
  double gradient_error = 0;         // eq. (3)
  std::string worst_parameter;       // whose gradient is worst by eq. (1)...
  double worst_parameter_error = 0;  // ...not judged: the true gradient of some is 0
  double step_ms = 0;                // forward and backward at once

  [[nodiscard]] int64_t failures() const;  // rows, loss and gradient outside the tolerance
};

[[nodiscard]] AuditReport audit(const Context& ctx, const MakeAuditStep& make, const AuditOptions& options);

// Work of one call (train/audit_work.cpp). FLOPs are those of models/flops.h. Bytes are the least that must
// move: forward each input once and the result; backward dy, what the gradient reads, each gradient.
struct OpWork {
  double forward_flop = 0, backward_flop = 0, forward_bytes = 0, backward_bytes = 0;
};
[[nodiscard]] OpWork work_of(const OpCall& call);

// The larger of two errors; NaN if one is NaN.
[[nodiscard]] double worse(double a, double b);

}  // namespace gmail
