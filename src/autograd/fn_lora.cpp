#include "autograd/functions.h"
#include "core/dispatch.h"
#include "ops/lora.h"

namespace gmail {
namespace {

// An audit sees the layers one by one: an op of its log has one result.
Var logged(Tape& tape, const Var& x, const LoraVars& l) {
  return tape.log("lora_linear", "lora.h (1-4)", {x, l.w, l.bias, l.a, l.b, l.residual},
                  [scale = l.scale](Tape& t, const Vars& v) {
                    return lora_linear(t, v[0], {{v[1], v[2], v[3], v[4], scale, v[5]}})[0];
                  });
}

}  // namespace

Vars lora_linear(Tape& tape, const Var& x, std::vector<LoraVars> layers) {
  std::vector<LoraLayer> parts;
  std::vector<Tensor> ys, saved;
  Vars inputs{x}, results;
  bool reads_x = false;
  for (LoraVars& l : layers) {
    if (tape.logging()) {
      results.push_back(logged(tape, x, l));
      continue;
    }
    parts.push_back({l.w.value, l.bias.value, l.a.value, l.b.value, l.scale, l.residual.value});
    ys.push_back(tape.empty(x.shape().with(x.shape().rank() - 1, l.w.size(0)), x.dtype()));
    saved.push_back(l.a ? tape.empty(lora_saved_shape(x.value, parts.back()), x.dtype()) : Tensor());
    GMAIL_RUN(tape.ctx(), lora_forward, ys.back(), saved.back(), x.value, parts.back());
    inputs.insert(inputs.end(), {l.w, l.bias, l.a, l.b, l.residual});
    reads_x = reads_x || l.w.tracked() || l.a.tracked() || l.b.tracked();
    l.residual.value = parts.back().residual = Tensor();  // the backward pass does not hold it
  }
  if (tape.logging()) return results;
  const Var kept = reads_x ? x : Var(Tensor(), x.id);
  return tape.record_all(ys, inputs, [=, &tape](const std::vector<Tensor>& dys) {
    const Grad dx = tape.want(kept);
    std::vector<LoraGrads> grads(layers.size());
    for (size_t i = layers.size(); i-- > 0;) {
      if (!dys[i]) continue;
      const LoraVars& l = layers[i];
      grads[i].db = tape.want(l.b);
      grads[i].da = tape.want(l.a);
      grads[i].dw = tape.want(l.w);
      grads[i].dbias = tape.want(l.bias);
    }
    GMAIL_RUN(tape.ctx(), lora_backward, dx, grads, dys, kept.value, parts, saved);
    for (size_t i = layers.size(); i-- > 0;)
      if (dys[i]) tape.pass(layers[i].residual, dys[i]);
  });
}

}  // namespace gmail
