#include "autograd/functions.h"
#include "core/dispatch.h"
#include "ops/cross_entropy.h"
#include "ops/mse.h"

namespace gmail {

Var softmax_cross_entropy(Tape& tape, const Var& logits, const Tensor& targets, const Tensor& mask) {
  Tensor loss = tape.empty({1}, logits.dtype()), l = tape.empty({logits.size(0)}, logits.dtype());
  GMAIL_RUN(tape.ctx(), softmax_cross_entropy_forward, loss, l, logits.value, targets, mask);
  return tape.record(loss, {logits}, [=, &tape](const Tensor& dloss) {
    const Grad dlogits = tape.want(logits);
    GMAIL_RUN(tape.ctx(), softmax_cross_entropy_backward, dlogits, dloss, logits.value, l, targets, mask);
  });
}

Var info_nce(Tape& tape, const Var& a, const Var& b, const Var& log_scale, const InfoNceOptions& options) {
  Tensor loss = tape.empty({1}, a.dtype()), dz = tape.empty({a.size(0), a.size(0)}, a.dtype());
  GMAIL_RUN(tape.ctx(), info_nce_forward, loss, dz, a.value, b.value, log_scale.value, options);
  return tape.record(loss, {a, b, log_scale}, [=, &tape](const Tensor& dloss) {
    const Grad da = tape.want(a);
    const Grad db = tape.want(b);
    const Grad dlog_scale = tape.want(log_scale);
    GMAIL_RUN(tape.ctx(), info_nce_backward, da, db, dlog_scale, dloss, dz, a.value, b.value,
              log_scale.value);
  });
}

Var sigmoid_loss(Tape& tape, const Var& a, const Var& b, const Var& log_scale, const Var& bias) {
  Tensor loss = tape.empty({1}, a.dtype()), dz = tape.empty({a.size(0), a.size(0)}, a.dtype());
  GMAIL_RUN(tape.ctx(), sigmoid_loss_forward, loss, dz, a.value, b.value, log_scale.value, bias.value);
  return tape.record(loss, {a, b, log_scale, bias}, [=, &tape](const Tensor& dloss) {
    const Grad da = tape.want(a);
    const Grad db = tape.want(b);
    const Grad dlog_scale = tape.want(log_scale);
    const Grad dbias = tape.want(bias);
    GMAIL_RUN(tape.ctx(), sigmoid_loss_backward, da, db, dlog_scale, dbias, dloss, dz, a.value, b.value,
              log_scale.value, bias.value);
  });
}

Var weighted_mse(Tape& tape, const Var& prediction, const Tensor& target, const Tensor& weight) {
  Tensor loss = tape.empty({1}, prediction.dtype());
  GMAIL_RUN(tape.ctx(), weighted_mse_forward, loss, prediction.value, target, weight);
  return tape.record(loss, {prediction}, [=, &tape](const Tensor& dloss) {
    const Grad dprediction = tape.want(prediction);
    GMAIL_RUN(tape.ctx(), weighted_mse_backward, dprediction, dloss, prediction.value, target, weight);
  });
}

}  // namespace gmail
