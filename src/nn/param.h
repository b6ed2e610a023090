// A parameter: its name in the checkpoint, its value, its gradient. Modules own their Params; a ParamList is
// the flat view that training and saving need.
#pragma once

#include <string>
#include <vector>

#include "autograd/tape.h"

namespace gmail {

struct Param {
  std::string name;
  Tensor value;
  GradSlot slot;
  bool trainable = true;    // false: frozen; never on the tape, its storage is constant
  bool decay = true;        // weight decay applies (false for biases, norms, scalars)
  bool transposed = false;  // a matrix that its checkpoint stores transposed (GPT-2's Conv1D)

  // the parameter as an op's argument
  [[nodiscard]] Var on(Tape& tape) { return trainable ? tape.leaf(value, slot) : tape.constant(value); }
};

using ParamList = std::vector<Param*>;

// Moves the values to a device; values that shared their storage share it there too.
void place(const ParamList& params, Device device);

}  // namespace gmail
