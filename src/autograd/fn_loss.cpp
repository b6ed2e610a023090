#include "autograd/functions.h"
#include "core/dispatch.h"
#include "ops/cross_entropy.h"
#include "ops/mse.h"

namespace gmail {
namespace {
// A constant from anywhere, where and as the ops read it.
Var here(Tape& tape, const Var& v, DType type) {
  if (v.tracked()) return v;
  const bool on_host = v.value.device() == Device::cpu;  // there it is converted at once
  return cast(tape, Var(tape.ctx().here(on_host ? v.value.to(type) : v.value)), type);
}
}  // namespace

Var softmax_cross_entropy(Tape& tape, const Var& logits, const Tensor& targets_anywhere,
                          const Tensor& mask_anywhere) {
  if (tape.logging())
    return tape.log("cross_entropy", "cross_entropy.h (1-2)", {logits}, [=](Tape& t, const Vars& v) {
      return softmax_cross_entropy(t, v[0], targets_anywhere, mask_anywhere);
    });
  const Tensor targets = tape.ctx().here(targets_anywhere), mask = tape.ctx().here(mask_anywhere);
  const DType type = statistics_of(logits.dtype());
  Tensor loss = tape.empty({1}, type), l = tape.empty({logits.size(0)}, type);
  GMAIL_RUN(tape.ctx(), softmax_cross_entropy_forward, loss, l, logits.value, targets, mask);
  return tape.record(loss, {logits}, [=, &tape](const Tensor& dloss) {
    const Grad dlogits = tape.want_over(logits);
    GMAIL_RUN(tape.ctx(), softmax_cross_entropy_backward, dlogits, dloss, logits.value, l, targets, mask);
  });
}

Var info_nce(Tape& tape, const Var& a_in, const Var& b_in, const Var& scale_in,
             const InfoNceOptions& options_anywhere) {
  if (tape.logging())
    return tape.log("info_nce", "contrastive.h (1-3)", {a_in, b_in, scale_in},
                    [=](Tape& t, const Vars& v) { return info_nce(t, v[0], v[1], v[2], options_anywhere); });
  const InfoNceOptions options{options_anywhere.symmetric, tape.ctx().here(options_anywhere.group)};
  const DType type = statistics_of(a_in.dtype());
  const Var a = cast(tape, a_in, type), b = cast(tape, b_in, type), log_scale = here(tape, scale_in, type);
  Tensor loss = tape.empty({1}, type), dz = tape.empty({a.size(0), a.size(0)}, type);
  GMAIL_RUN(tape.ctx(), info_nce_forward, loss, dz, a.value, b.value, log_scale.value, options);
  return tape.record(loss, {a, b, log_scale}, [=, &tape](const Tensor& dloss) {
    const Grad da = tape.want(a);
    const Grad db = tape.want(b);
    const Grad dlog_scale = tape.want(log_scale);
    GMAIL_RUN(tape.ctx(), info_nce_backward, da, db, dlog_scale, dloss, dz, a.value, b.value,
              log_scale.value);
  });
}

Var sigmoid_loss(Tape& tape, const Var& a_in, const Var& b_in, const Var& scale_in, const Var& bias_in) {
  if (tape.logging())
    return tape.log("sigmoid_loss", "contrastive.h (4)", {a_in, b_in, scale_in, bias_in},
                    [=](Tape& t, const Vars& v) { return sigmoid_loss(t, v[0], v[1], v[2], v[3]); });
  const DType type = statistics_of(a_in.dtype());
  const Var a = cast(tape, a_in, type), b = cast(tape, b_in, type), log_scale = here(tape, scale_in, type),
            bias = here(tape, bias_in, type);
  Tensor loss = tape.empty({1}, type), dz = tape.empty({a.size(0), a.size(0)}, type);
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

Var weighted_mse(Tape& tape, const Var& prediction, const Tensor& target_anywhere,
                 const Tensor& weight_anywhere) {
  if (tape.logging())
    return tape.log("weighted_mse", "mse.h (1-2)", {prediction}, [=](Tape& t, const Vars& v) {
      return weighted_mse(t, v[0], target_anywhere, weight_anywhere);
    });
  const DType type = statistics_of(prediction.dtype());
  const Tensor target = here(tape, Var(target_anywhere), prediction.dtype()).value;
  const Tensor weight = weight_anywhere ? here(tape, Var(weight_anywhere), type).value : Tensor();
  Tensor loss = tape.empty({1}, type);
  GMAIL_RUN(tape.ctx(), weighted_mse_forward, loss, prediction.value, target, weight);
  return tape.record(loss, {prediction}, [=, &tape](const Tensor& dloss) {
    const Grad dprediction = tape.want(prediction);
    GMAIL_RUN(tape.ctx(), weighted_mse_backward, dprediction, dloss, prediction.value, target, weight);
  });
}

}  // namespace gmail
