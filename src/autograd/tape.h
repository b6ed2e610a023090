// Reverse-mode automatic differentiation (Griewank & Walther 2008, ch. 3) over a tape.
//
// An op computes its result, then records a closure that turns dL/dy into gradients of its inputs. The tape
// is a vector in execution order; backward() walks it in reverse and destroys each node once it has run, so
// activations are freed during the pass. A gradient's first contribution overwrites, later ones accumulate.
// An input that nobody needs a gradient for is not tracked, and no work is done for it: that is how a frozen
// weight costs no product.
//
//   Tape tape(ctx);
//   Var x = tape.input(images);                 // or tape.constant(images), tape.leaf(param.value, slot)
//   Var loss = ...;
//   tape.backward(loss);                        // or backward(y, dy) with a gradient from outside
//   Tensor dx = tape.grad(x);
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/context.h"
#include "ops/grad.h"

namespace gmail {

// A value on the tape. Without a gradient (id < 0) it is a plain tensor.
struct Var {
  Tensor value;
  int id = -1;
  Var() = default;
  explicit Var(Tensor v, int i = -1) : value(std::move(v)), id(i) {}
  [[nodiscard]] bool tracked() const { return id >= 0; }
  [[nodiscard]] bool defined() const { return value.defined(); }
  explicit operator bool() const { return defined(); }
  [[nodiscard]] const Shape& shape() const { return value.shape(); }
  [[nodiscard]] int64_t size(int dim) const { return value.size(dim); }
  [[nodiscard]] DType dtype() const { return value.dtype(); }
};

class Tape;
using Vars = std::vector<Var>;

// An op as an audit keeps it (train/audit.h): its name, the header in ops/ and the equations there that it
// computes, what went in, what came out, the gradient that arrived, and how to run it again, alone.
struct OpCall {
  std::string name, equations;
  Vars inputs;  // absent: an optional argument that was not given
  std::function<Var(Tape&, const Vars&)> again;
  Var y;
  Tensor dy;  // absent: none arrived
};
using OpLog = std::vector<OpCall>;

// Where the gradient of a leaf arrives, outside the tape. `written` says that `grad` holds something to add
// to; zero_grad() of the optimiser resets it, so micro-batches accumulate by themselves.
struct GradSlot {
  Tensor grad;
  bool written = false;
};

class Tape {
 public:
  // record: gradients will be asked for. forget: a training run whose values are computed again later
  // (recompute), so nothing is recorded. infer: no training; what differs, as dropout, is off.
  enum class Mode : uint8_t { record, forget, infer };
  explicit Tape(const Context& ctx, Mode mode) : ctx_(ctx), mode_(mode) {}
  explicit Tape(const Context& ctx, bool recording = true)
      : Tape(ctx, recording ? Mode::record : Mode::infer) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  [[nodiscard]] const Context& ctx() const { return ctx_; }
  [[nodiscard]] bool recording() const { return mode_ == Mode::record; }
  [[nodiscard]] bool training() const { return mode_ != Mode::infer; }
  [[nodiscard]] bool saw_leaf() const { return saw_leaf_; }  // leaf() was called, recording or not
  // step memory for a result like x / of a shape
  [[nodiscard]] Tensor empty(const Shape& shape, DType dtype) const { return ctx_.empty(shape, dtype); }

  [[nodiscard]] Var constant(Tensor value) const { return Var(std::move(value)); }
  [[nodiscard]] Var input(Tensor value);                 // tracked; read grad() after backward
  [[nodiscard]] Var leaf(Tensor value, GradSlot& slot);  // tracked; the gradient goes to the slot

  // y was computed from `inputs`. If one of them is tracked, backward(dy) will be called with dL/dy. In it,
  // want(v) hands out the gradient of an input to fill (absent if v is not tracked), pass(v, dy) says that it
  // equals dy. Ask in the order in which the kernel writes them, one statement each: f(x, x) gets "overwrite"
  // first and "add" second.
  using Backward = std::function<void(const Tensor& dy)>;
  [[nodiscard]] Var record(Tensor y, std::initializer_list<Var> inputs, Backward backward);
  [[nodiscard]] Var record(Tensor y, const std::vector<Var>& inputs, Backward backward);
  // The same for an op with several results: backward(dys) is called once, when all that will come has come;
  // the gradient of a result that nothing used is absent.
  using BackwardAll = std::function<void(const std::vector<Tensor>& dys)>;
  [[nodiscard]] Vars record_all(const std::vector<Tensor>& ys, const Vars& inputs, BackwardAll backward);
  // even if no input is tracked (recompute.cpp)
  [[nodiscard]] Var record_always(Tensor y, Backward backward);
  [[nodiscard]] Grad want(const Var& v);
  void pass(const Var& v, const Tensor& dy);
  // The same for a kernel that may write the gradient over the value it reads: the gradient is v.value itself
  // if nobody else holds that memory and nothing was added to the gradient before.
  [[nodiscard]] Grad want_over(const Var& v);

  // Runs the tape once; a second call throws. dy defaults to 1 for a one-element y.
  void backward(const Var& y, const Tensor& dy = Tensor());
  void backward(const std::vector<Var>& ys, const std::vector<Tensor>& dys);
  [[nodiscard]] Tensor grad(const Var& v) const;  // absent if v got no gradient
  [[nodiscard]] size_t nodes() const { return nodes_.size(); }

  // From now on every op is kept in `log`. An op's function begins with
  //   if (tape.logging()) return tape.log("name", "header.h (1-2)", inputs, again);
  // again(tape, inputs) is the function itself; record() refuses an op that does not say what it is.
  void log_to(OpLog& log) { log_ = &log; }
  [[nodiscard]] bool logging() const { return log_ != nullptr; }
  [[nodiscard]] Var log(const std::string& name, const std::string& equations, const Vars& inputs,
                        std::function<Var(Tape&, const Vars&)> again);

 private:
  struct Slot {
    Tensor grad;
    GradSlot* sink = nullptr;
    bool shared = false;  // grad is somebody else's tensor: copy before adding to it
    Shape shape;
    DType dtype = DType::float32;
  };
  struct Node {
    int output;
    Backward backward;
  };
  [[nodiscard]] int new_slot(const Tensor& value);
  const Context& ctx_;
  Mode mode_;
  bool consumed_ = false, saw_leaf_ = false;
  OpLog* log_ = nullptr;
  std::vector<Slot> slots_;
  std::vector<Node> nodes_;
};

}  // namespace gmail
