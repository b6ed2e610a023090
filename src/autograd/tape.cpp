#include "autograd/tape.h"

#include <algorithm>
#include <utility>

#include "core/dispatch.h"
#include "ops/broadcast.h"

namespace gmail {

int Tape::new_slot(const Tensor& value) {
  Slot slot;
  slot.shape = value.shape();
  slot.dtype = value.dtype();
  slots_.push_back(std::move(slot));
  return static_cast<int>(slots_.size()) - 1;
}

Var Tape::input(Tensor value) {
  if (!recording()) return Var(std::move(value));
  const int id = new_slot(value);
  return Var(std::move(value), id);
}

Var Tape::leaf(Tensor value, GradSlot& slot) {
  saw_leaf_ = true;
  if (!recording()) return Var(std::move(value));
  if (!slot.grad) slot.grad = Tensor::zeros(value.shape(), value.dtype(), value.device());
  const int id = new_slot(value);
  slots_.back().sink = &slot;
  return Var(std::move(value), id);
}

Var Tape::record_always(Tensor y, Backward backward) {
  GMAIL_CHECK(!logging(), "[tape] an op that does not call log() cannot be audited");
  if (!recording()) return Var(std::move(y));
  const int id = new_slot(y);
  nodes_.push_back({id, std::move(backward)});
  return Var(std::move(y), id);
}

Var Tape::record(Tensor y, std::initializer_list<Var> inputs, Backward backward) {
  GMAIL_CHECK(!logging(), "[tape] an op that does not call log() cannot be audited");
  const bool tracked = std::any_of(inputs.begin(), inputs.end(), [](const Var& v) { return v.tracked(); });
  return tracked ? record_always(std::move(y), std::move(backward)) : Var(std::move(y));
}

Var Tape::record(Tensor y, const std::vector<Var>& inputs, Backward backward) {
  GMAIL_CHECK(!logging(), "[tape] an op that does not call log() cannot be audited");
  const bool tracked = std::any_of(inputs.begin(), inputs.end(), [](const Var& v) { return v.tracked(); });
  return tracked ? record_always(std::move(y), std::move(backward)) : Var(std::move(y));
}

// A node of each result keeps its gradient. The op's own node is recorded before them, so it runs after them;
// it runs if any of them put something into its slot.
Vars Tape::record_all(const std::vector<Tensor>& ys, const Vars& inputs, BackwardAll backward) {
  const auto dys = std::make_shared<std::vector<Tensor>>(ys.size());
  const Var op = record(Tensor(), inputs, [=](const Tensor&) { backward(*dys); });
  Vars results;
  for (size_t i = 0; i < ys.size(); ++i)
    results.push_back(record(ys[i], {op}, [=, this](const Tensor& dy) {
      (*dys)[i] = dy;
      slots_[static_cast<size_t>(op.id)].grad = dy;
    }));
  return results;
}

Var Tape::log(const std::string& name, const std::string& equations, const Vars& inputs,
              std::function<Var(Tape&, const Vars&)> again) {
  OpLog* const log = std::exchange(log_, nullptr);  // an op made of others is one op
  const Var y = again(*this, inputs);
  log_ = log;
  log_->push_back({name, equations, inputs, std::move(again), y, Tensor()});
  return y;
}

Grad Tape::want(const Var& v) {
  if (!v.tracked()) return {};
  Slot& slot = slots_[static_cast<size_t>(v.id)];
  if (slot.sink != nullptr) {
    const bool add = slot.sink->written;
    slot.sink->written = true;
    return {slot.sink->grad, add};
  }
  if (!slot.grad) {
    slot.grad = ctx_.empty(slot.shape, slot.dtype);
    return {slot.grad, false};
  }
  if (slot.shared) {
    const Tensor own = ctx_.empty(slot.shape, slot.dtype);
    GMAIL_RUN(ctx_, accumulate, Grad{own}, slot.grad);
    slot.grad = own;
    slot.shared = false;
  }
  return {slot.grad, true};
}

Grad Tape::want_over(const Var& v) {
  if (!v.tracked()) return {};
  Slot& slot = slots_[static_cast<size_t>(v.id)];
  if (slot.sink == nullptr && !slot.grad && v.value.sole()) {
    slot.grad = v.value;
    return {slot.grad, false};
  }
  return want(v);
}

void Tape::pass(const Var& v, const Tensor& dy) {
  if (!v.tracked()) return;
  Slot& slot = slots_[static_cast<size_t>(v.id)];
  GMAIL_CHECK(dy.numel() == slot.shape.numel(), "[tape] gradient ", dy.shape(), " for a value ", slot.shape);
  if (slot.sink == nullptr && !slot.grad) {
    slot.grad = dy.reshape(slot.shape);
    slot.shared = true;
    return;
  }
  const Grad g = want(v);
  GMAIL_RUN(ctx_, accumulate, g, dy);
}

void Tape::backward(const Var& y, const Tensor& dy) {
  GMAIL_CHECK(dy || y.value.numel() == 1, "[tape] backward without dy needs one element, got ", y.shape());
  backward(std::vector<Var>{y}, {dy ? dy : ctx_.full(y.shape(), 1, y.dtype())});
}

void Tape::backward(const std::vector<Var>& ys, const std::vector<Tensor>& dys) {
  GMAIL_CHECK(!consumed_, "[tape] backward was already run: the tape is consumed");
  GMAIL_CHECK(ys.size() == dys.size(), "[tape] ", ys.size(), " values, ", dys.size(), " gradients");
  consumed_ = true;
  for (size_t i = 0; i < ys.size(); ++i) {
    GMAIL_CHECK(ys[i].tracked(), "[tape] backward from a value that depends on nothing tracked");
    GMAIL_CHECK(dys[i].shape() == ys[i].shape(), "[tape] dy ", dys[i].shape(), " for y ", ys[i].shape());
    pass(ys[i], dys[i]);
  }
  while (!nodes_.empty()) {
    Node node = std::move(nodes_.back());
    nodes_.pop_back();
    Slot& slot = slots_[static_cast<size_t>(node.output)];
    if (!slot.grad) continue;  // nothing downstream used it
    const Tensor dy = std::move(slot.grad);
    slot.grad = Tensor();
    if (logging())
      for (OpCall& call : *log_)
        if (call.y.id == node.output) call.dy = dy;
    node.backward(dy);
  }
}

Tensor Tape::grad(const Var& v) const {
  GMAIL_CHECK(v.tracked(), "[tape] grad of a value that is not tracked");
  const Slot& slot = slots_[static_cast<size_t>(v.id)];
  return slot.sink != nullptr ? slot.sink->grad : slot.grad;
}

}  // namespace gmail
