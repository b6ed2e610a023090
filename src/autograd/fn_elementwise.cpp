#include "autograd/functions.h"
#include "core/dispatch.h"
#include "ops/broadcast.h"
#include "ops/geglu.h"

namespace gmail {
namespace {

struct Description {
  const char *name, *equations;
};
Description described(Activation kind) {
  switch (kind) {
    case Activation::quick_gelu:
      return {"quick_gelu", "activation.h (1)"};
    case Activation::gelu_erf:
      return {"gelu_erf", "activation.h (2)"};
    case Activation::gelu_tanh:
      return {"gelu_tanh", "activation.h (3)"};
    case Activation::silu:
      return {"silu", "activation.h (4)"};
    case Activation::relu:
      return {"relu", "activation.h (5)"};
    case Activation::tanh:
      return {"tanh", "activation.h (6)"};
  }
  return {"?", "?"};
}

}  // namespace

Var add(Tape& tape, const Var& a, const Var& b_any) {
  if (tape.logging())
    return tape.log("add", "broadcast.h (1)", {a, b_any},
                    [=](Tape& t, const Vars& v) { return add(t, v[0], v[1]); });
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
  if (tape.logging())
    return tape.log("mul", "broadcast.h (2)", {a, b_any},
                    [=](Tape& t, const Vars& v) { return mul(t, v[0], v[1]); });
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
  if (tape.logging())
    return tape.log("scale", "broadcast.h (3)", {x},
                    [=](Tape& t, const Vars& v) { return scale(t, v[0], factor); });
  Tensor y = tape.empty(x.shape(), x.dtype());
  GMAIL_RUN(tape.ctx(), scale_forward, y, x.value, factor);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), scale_backward, dx, dy, factor);
  });
}

Var cast(Tape& tape, const Var& x, DType type) {
  if (x.dtype() == type) return x;
  if (tape.logging())
    return tape.log("cast", "broadcast.h (4)", {x},
                    [=](Tape& t, const Vars& v) { return cast(t, v[0], type); });
  Tensor y = tape.empty(x.shape(), type);
  GMAIL_RUN(tape.ctx(), accumulate, Grad{y}, x.value);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), accumulate, dx, dy);
  });
}

Var activation(Tape& tape, const Var& x, Activation kind) {
  if (tape.logging()) {
    const auto [name, equation] = described(kind);
    return tape.log(name, equation, {x}, [=](Tape& t, const Vars& v) { return activation(t, v[0], kind); });
  }
  Tensor y = tape.empty(x.shape(), x.dtype());
  GMAIL_RUN(tape.ctx(), activation_forward, y, x.value, kind);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), activation_backward, dx, dy, x.value, kind);
  });
}

Var geglu(Tape& tape, const Var& x) {
  if (tape.logging())
    return tape.log("geglu", "geglu.h (1-2)", {x}, [=](Tape& t, const Vars& v) { return geglu(t, v[0]); });
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
  if (tape.logging())
    return tape.log("dropout", "dropout.h", {x},
                    [=](Tape& t, const Vars& v) { return dropout(t, v[0], p, key); });
  Tensor y = tape.empty(x.shape(), x.dtype());
  GMAIL_RUN(tape.ctx(), dropout_forward, y, x.value, p, key);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), dropout_backward, dx, dy, p, key);
  });
}

}  // namespace gmail
