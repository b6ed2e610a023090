#include "autograd/functions.h"

namespace gmail {

// Of f's work only the inputs and the result are kept. The first run is on a tape that does not record, but
// that is still a tape of training: dropout draws the mask that the second run will draw again.
Var recompute(Tape& tape, const std::vector<Var>& inputs,
              const std::function<Var(Tape&, const std::vector<Var>&)>& f) {
  if (!tape.recording()) return f(tape, inputs);
  Tape first(tape.ctx(), Tape::Mode::forget);
  std::vector<Var> plain;
  bool needed = false;
  for (const Var& v : inputs) {
    plain.emplace_back(v.value);
    needed = needed || v.tracked();
  }
  Tensor y = f(first, plain).value;
  if (!needed && !first.saw_leaf()) return Var(std::move(y));
  return tape.record_always(std::move(y), [=, &tape](const Tensor& dy) {
    Tape second(tape.ctx());
    std::vector<Var> again;
    for (const Var& v : inputs)
      again.push_back(v.tracked() ? second.input(v.value) : second.constant(v.value));
    const Var result = f(second, again);
    if (!result.tracked()) return;  // f does not use what is tracked
    second.backward(result, dy);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].tracked()) continue;
      if (const Tensor g = second.grad(again[i])) tape.pass(inputs[i], g);
    }
  });
}

}  // namespace gmail
