#include "autograd/functions.h"
#include "core/dispatch.h"
#include "ops/layer_norm.h"

namespace gmail {

Var layer_norm(Tape& tape, const Var& x, const Var& w, const Var& b, double eps) {
  const Shape rows{x.value.numel() / x.size(-1)};
  Tensor y = tape.empty(x.shape(), x.dtype()), mu = tape.empty(rows, x.dtype()), r = tape.empty(rows, x.dtype());
  GMAIL_RUN(tape.ctx(), layer_norm_forward, y, mu, r, x.value, w.value, b.value, eps);
  return tape.record(y, {x, w, b}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x), dw = tape.want(w), db = tape.want(b);
    GMAIL_RUN(tape.ctx(), layer_norm_backward, dx, dw, db, dy, x.value, w.value, mu, r);
  });
}

}  // namespace gmail
