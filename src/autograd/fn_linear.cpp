#include "autograd/functions.h"
#include "core/dispatch.h"
#include "ops/attention.h"
#include "ops/broadcast.h"
#include "ops/conv2d.h"
#include "ops/linear.h"
#include "ops/matmul.h"
#include "ops/mlp.h"

namespace gmail {
namespace {

// v as a closure keeps it: the tensor only if the gradient of the other factor asks for it, so that the input
// of a frozen layer is freed at once.
Var kept_for(const Var& other, const Var& v) { return other.tracked() ? v : Var(Tensor(), v.id); }

// w as products with operands of `type` read it. Of a frozen weight the backend keeps a converted copy; one
// that may change is converted here, once for the forward and the backward pass.
Tensor in_type_of(const Tape& tape, const Tensor& w, DType type) {
  if (w.dtype() == type || w.device() == Device::cpu || w.storage().constant) return w;
  Tensor converted = tape.empty(w.shape(), type);
  GMAIL_RUN(tape.ctx(), accumulate, Grad{converted}, w);
  return converted;
}

}  // namespace

Var linear(Tape& tape, const Var& x, const Var& w, const Var& b, const Var& residual, double alpha) {
  if (tape.logging())
    return tape.log(residual ? "linear_add" : "linear", "linear.h (1-2)", {x, w, b, residual},
                    [=](Tape& t, const Vars& v) { return linear(t, v[0], v[1], v[2], v[3], alpha); });
  Tensor y = tape.empty(x.shape().with(x.shape().rank() - 1, w.size(0)), x.dtype());
  const Tensor weight = in_type_of(tape, w.value, x.dtype());
  GMAIL_RUN(tape.ctx(), linear_forward, y, x.value, weight, b.value, residual.value, alpha);
  const Var kept = kept_for(w, x);
  return tape.record(y, {x, w, b, residual}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(kept);
    const Grad dw = tape.want(w);
    const Grad db = tape.want(b);
    GMAIL_RUN(tape.ctx(), linear_backward, dx, dw, db, dy, kept.value, weight, alpha);
    tape.pass(residual, dy);
  });
}

Var mlp(Tape& tape, const Var& x, const Var& w1, const Var& b1, const Var& w2, const Var& b2, Activation act,
        const Var& residual) {
  if (tape.logging())
    return tape.log("mlp", "mlp.h (1-3)", {x, w1, b1, w2, b2, residual},
                    [=](Tape& t, const Vars& v) { return mlp(t, v[0], v[1], v[2], v[3], v[4], act, v[5]); });
  const auto rows_of = [&](int64_t width) { return x.shape().with(x.shape().rank() - 1, width); };
  Tensor y = tape.empty(rows_of(w2.size(0)), x.dtype()), h = tape.empty(rows_of(w1.size(0)), x.dtype()),
         a = tape.empty(h.shape(), x.dtype());
  const Tensor weight1 = in_type_of(tape, w1.value, x.dtype()),
               weight2 = in_type_of(tape, w2.value, x.dtype());
  GMAIL_RUN(tape.ctx(), mlp_forward, y, h, a, x.value, weight1, b1.value, weight2, b2.value, residual.value,
            act);
  const Var kept = kept_for(w1, x), kept_a = kept_for(w2, Var(a));
  return tape.record(y, {x, w1, b1, w2, b2, residual}, [=, &tape](const Tensor& dy) {
    MlpGrads grads;
    grads.dw2 = tape.want(w2);
    grads.db2 = tape.want(b2);
    tape.pass(residual, dy);
    grads.dx = tape.want(kept);
    grads.dw1 = tape.want(w1);
    grads.db1 = tape.want(b1);
    Tensor da = tape.empty(h.shape(), h.dtype()), dh = tape.empty(h.shape(), h.dtype());
    GMAIL_RUN(tape.ctx(), mlp_backward, grads, da, dh, dy, kept.value, h, kept_a.value, weight1, weight2,
              act);
  });
}

Var matmul(Tape& tape, const Var& a, const Var& b, bool transpose_a, bool transpose_b) {
  if (tape.logging())
    return tape.log("matmul", "matmul.h (1-2)", {a, b},
                    [=](Tape& t, const Vars& v) { return matmul(t, v[0], v[1], transpose_a, transpose_b); });
  const int rank = a.shape().rank();
  GMAIL_CHECK(rank >= 2 && b.shape().rank() == rank, "[matmul] ranks differ: a ", a.shape(), ", b ",
              b.shape());
  const Shape shape =
      a.shape().with(rank - 2, a.size(transpose_a ? -1 : -2)).with(rank - 1, b.size(transpose_b ? -2 : -1));
  Tensor c = tape.empty(shape, a.dtype());
  GMAIL_RUN(tape.ctx(), matmul_forward, c, a.value, b.value, transpose_a, transpose_b);
  return tape.record(c, {a, b}, [=, &tape](const Tensor& dc) {
    const Grad da = tape.want(a);
    const Grad db = tape.want(b);
    GMAIL_RUN(tape.ctx(), matmul_backward, da, db, dc, a.value, b.value, transpose_a, transpose_b);
  });
}

Var conv2d(Tape& tape, const Var& x, const Var& w, const Var& b, int stride, int pad) {
  if (tape.logging())
    return tape.log("conv2d", "conv2d.h (1-3)", {x, w, b},
                    [=](Tape& t, const Vars& v) { return conv2d(t, v[0], v[1], v[2], stride, pad); });
  Tensor y = tape.empty(conv2d_shape(x.shape(), w.shape(), stride, pad), x.dtype());
  GMAIL_RUN(tape.ctx(), conv2d_forward, y, x.value, w.value, b.value, stride, pad);
  return tape.record(y, {x, w, b}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    const Grad dw = tape.want(w);
    const Grad db = tape.want(b);
    GMAIL_RUN(tape.ctx(), conv2d_backward, dx, dw, db, dy, x.value, w.value, stride, pad);
  });
}

Var attention(Tape& tape, const Var& q, const Var& k, const Var& v, int heads,
              const AttentionMask& mask_anywhere) {
  if (tape.logging())
    return tape.log("attention", "attention.h (1-3)", {q, k, v}, [=](Tape& t, const Vars& in) {
      return attention(t, in[0], in[1], in[2], heads, mask_anywhere);
    });
  const AttentionMask mask{mask_anywhere.causal, tape.ctx().here(mask_anywhere.keys)};
  Tensor o = tape.empty(q.shape(), q.dtype()),
         l = tape.empty({q.size(0), heads, q.size(1)}, statistics_of(q.dtype()));
  GMAIL_RUN(tape.ctx(), attention_forward, o, l, q.value, k.value, v.value, heads, mask);
  return tape.record(o, {q, k, v}, [=, &tape](const Tensor& d_o) {
    const Grad dq = tape.want(q);
    const Grad dk = tape.want(k);
    const Grad dv = tape.want(v);
    GMAIL_RUN(tape.ctx(), attention_backward, dq, dk, dv, d_o, o, l, q.value, k.value, v.value, heads, mask);
  });
}

}  // namespace gmail
