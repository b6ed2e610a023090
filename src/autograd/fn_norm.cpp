#include "autograd/functions.h"
#include "core/dispatch.h"
#include "ops/group_norm.h"
#include "ops/l2_normalize.h"
#include "ops/layer_norm.h"
#include "ops/softmax.h"

namespace gmail {

Var layer_norm(Tape& tape, const Var& x, const Var& w, const Var& b, double eps) {
  if (tape.logging())
    return tape.log("layer_norm", "layer_norm.h (1-3)", {x, w, b},
                    [=](Tape& t, const Vars& v) { return layer_norm(t, v[0], v[1], v[2], eps); });
  const Shape rows{x.value.numel() / x.size(-1)};
  Tensor y = tape.empty(x.shape(), x.dtype()), mu = tape.empty(rows, statistics_of(x.dtype())),
         r = tape.empty(rows, statistics_of(x.dtype()));
  GMAIL_RUN(tape.ctx(), layer_norm_forward, y, mu, r, x.value, w.value, b.value, eps);
  return tape.record(y, {x, w, b}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x), dw = tape.want(w), db = tape.want(b);
    GMAIL_RUN(tape.ctx(), layer_norm_backward, dx, dw, db, dy, x.value, w.value, mu, r);
  });
}

Var group_norm(Tape& tape, const Var& x, const Var& w, const Var& b, int groups, double eps, bool silu) {
  if (tape.logging())
    return tape.log(
        silu ? "group_norm_silu" : "group_norm", "group_norm.h (1-3)", {x, w, b},
        [=](Tape& t, const Vars& v) { return group_norm(t, v[0], v[1], v[2], groups, eps, silu); });
  const Shape statistics{x.size(0), groups};
  Tensor y = tape.empty(x.shape(), x.dtype()), mu = tape.empty(statistics, statistics_of(x.dtype()));
  Tensor r = tape.empty(statistics, statistics_of(x.dtype()));
  GMAIL_RUN(tape.ctx(), group_norm_forward, y, mu, r, x.value, w.value, b.value, groups, eps, silu);
  return tape.record(y, {x, w, b}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x), dw = tape.want(w), db = tape.want(b);
    GMAIL_RUN(tape.ctx(), group_norm_backward, dx, dw, db, dy, x.value, w.value, b.value, mu, r, groups,
              silu);
  });
}

Var softmax(Tape& tape, const Var& x) {
  if (tape.logging())
    return tape.log("softmax", "softmax.h (1-2)", {x},
                    [=](Tape& t, const Vars& v) { return softmax(t, v[0]); });
  Tensor y = tape.empty(x.shape(), x.dtype());
  GMAIL_RUN(tape.ctx(), softmax_forward, y, x.value);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), softmax_backward, dx, dy, y);
  });
}

Var l2_normalize(Tape& tape, const Var& x, double eps) {
  if (tape.logging())
    return tape.log("l2_normalize", "l2_normalize.h (1-2)", {x},
                    [=](Tape& t, const Vars& v) { return l2_normalize(t, v[0], eps); });
  Tensor y = tape.empty(x.shape(), x.dtype()),
         norm = tape.empty({x.value.numel() / x.size(-1)}, statistics_of(x.dtype()));
  GMAIL_RUN(tape.ctx(), l2_normalize_forward, y, norm, x.value, eps);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), l2_normalize_backward, dx, dy, y, norm, eps);
  });
}

}  // namespace gmail
