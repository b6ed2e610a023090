#include "autograd/functions.h"
#include "core/dispatch.h"
#include "ops/broadcast.h"
#include "ops/geglu.h"

namespace gmail {

Var add(Tape& tape, const Var& a, const Var& b_any) {
  const Var b = cast(tape, b_any, a.dtype());
  Tensor y = tape.empty(broadcast_shape(a.shape(), b.shape()), a.dtype());
  GMAIL_RUN(tape.ctx(), add_forward, y, a.value, b.value);
  return tape.record(y, {a, b}, [=, &tape](const Tensor& dy) {
    for (const Var& side : {a, b}) {
      if (side.shape().numel() == dy.numel()) {
        tape.pass(side, dy);
        continue;
      }
      const Grad g = tape.want(side);
      GMAIL_RUN(tape.ctx(), add_backward, g, dy);
    }
  });
}

Var mul(Tape& tape, const Var& a, const Var& b_any) {
  const Var b = cast(tape, b_any, a.dtype());
  Tensor y = tape.empty(broadcast_shape(a.shape(), b.shape()), a.dtype());
  GMAIL_RUN(tape.ctx(), mul_forward, y, a.value, b.value);
  return tape.record(y, {a, b}, [=, &tape](const Tensor& dy) {
    const Grad da = tape.want(a);
    const Grad db = tape.want(b);
    GMAIL_RUN(tape.ctx(), mul_backward, da, db, dy, a.value, b.value);
  });
}

Var scale(Tape& tape, const Var& x, double factor) {
  Tensor y = tape.empty(x.shape(), x.dtype());
  GMAIL_RUN(tape.ctx(), scale_forward, y, x.value, factor);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), scale_backward, dx, dy, factor);
  });
}

Var cast(Tape& tape, const Var& x, DType type) {
  if (x.dtype() == type) return x;
  Tensor y = tape.empty(x.shape(), type);
  GMAIL_RUN(tape.ctx(), accumulate, Grad{y}, x.value);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), accumulate, dx, dy);
  });
}

Var activation(Tape& tape, const Var& x, Activation kind) {
  Tensor y = tape.empty(x.shape(), x.dtype());
  GMAIL_RUN(tape.ctx(), activation_forward, y, x.value, kind);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), activation_backward, dx, dy, x.value, kind);
  });
}

Var geglu(Tape& tape, const Var& x) {
  Tensor y = tape.empty(x.shape().with(-1, x.size(-1) / 2), x.dtype());
  GMAIL_RUN(tape.ctx(), geglu_forward, y, x.value);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), geglu_backward, dx, dy, x.value);
  });
}

Var dropout(Tape& tape, const Var& x, double p, const DropoutKey& key) {
  GMAIL_CHECK(p >= 0 && p < 1, "[dropout] p must be in [0, 1), got ", p);
  if (p == 0 || !tape.training()) return x;
  Tensor y = tape.empty(x.shape(), x.dtype());
  GMAIL_RUN(tape.ctx(), dropout_forward, y, x.value, p, key);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), dropout_backward, dx, dy, p, key);
  });
}

}  // namespace gmail
