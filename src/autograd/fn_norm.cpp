#include "autograd/functions.h"
#include "core/dispatch.h"
#include "ops/group_norm.h"
#include "ops/l2_normalize.h"
#include "ops/layer_norm.h"
#include "ops/softmax.h"

namespace gmail {

Var layer_norm(Tape& tape, const Var& x, const Var& w, const Var& b, double eps) {
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
  Tensor y = tape.empty(x.shape(), x.dtype());
  GMAIL_RUN(tape.ctx(), softmax_forward, y, x.value);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), softmax_backward, dx, dy, y);
  });
}

Var l2_normalize(Tape& tape, const Var& x, double eps) {
  Tensor y = tape.empty(x.shape(), x.dtype()),
         norm = tape.empty({x.value.numel() / x.size(-1)}, statistics_of(x.dtype()));
  GMAIL_RUN(tape.ctx(), l2_normalize_forward, y, norm, x.value, eps);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), l2_normalize_backward, dx, dy, y, norm, eps);
  });
}

}  // namespace gmail
