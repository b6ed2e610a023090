#include "nn/param_block.h"

#include <algorithm>
#include <set>

namespace gmail {
namespace {

constexpr int64_t kAlign = 16;  // floats in 64 bytes

int64_t padded(int64_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

}  // namespace

ParamBlock::ParamBlock(const ParamList& params, bool with_ema, Device device) {
  std::set<std::string> names;
  for (Param* p : params) {
    if (!p->trainable) continue;
    GMAIL_CHECK(names.insert(p->name).second, "[params] two parameters are called '", p->name, "'");
    GMAIL_CHECK(p->value.dtype() == DType::float32, "[params] '", p->name, "': only float32 is trained, got ",
                name_of(p->value.dtype()));
    params_.push_back(p);
  }
  begin_.resize(params_.size());
  int64_t size = 0;
  for (const bool decay : {true, false}) {
    for (size_t i = 0; i < params_.size(); ++i) {
      if (params_[i]->decay != decay) continue;
      begin_[i] = size;
      size += padded(params_[i]->value.numel());
      count_ += params_[i]->value.numel();
    }
    if (decay) decayed_ = size;
  }
  values_ = Tensor::zeros({size}, DType::float32, device);
  grads_ = Tensor::zeros({size}, DType::float32, device);
  m_ = Tensor::zeros({size}, DType::float32, device);
  v_ = Tensor::zeros({size}, DType::float32, device);
  for (size_t i = 0; i < params_.size(); ++i) {
    Tensor value = view(values_, i);
    value.copy_from(params_[i]->value);
    params_[i]->value = value;
    params_[i]->slot = {view(grads_, i), false};
  }
  if (with_ema) ema_ = values_.clone();
}

Tensor ParamBlock::view(const Tensor& block, size_t i) const {
  const Shape shape = params_[i]->value.shape();
  return block.rows(begin_[i], begin_[i] + shape.numel()).reshape(shape);
}

void ParamBlock::zero_grad() {
  for (Param* p : params_) p->slot.written = false;
}

void ParamBlock::settle_grads(const Context& ctx) {
  for (Param* p : params_) {
    if (!p->slot.written) ctx.fill(p->slot.grad, 0);
    p->slot.written = true;
  }
}

void ParamBlock::release_grads() {
  for (Param* p : params_) p->slot = {};
}

std::vector<NamedTensor> ParamBlock::state() const {
  std::vector<NamedTensor> tensors;
  for (size_t i = 0; i < params_.size(); ++i) {
    tensors.push_back({"value." + params_[i]->name, view(values_, i)});
    tensors.push_back({"m." + params_[i]->name, view(m_, i)});
    tensors.push_back({"v." + params_[i]->name, view(v_, i)});
    if (ema_) tensors.push_back({"ema." + params_[i]->name, view(ema_, i)});
  }
  return tensors;
}

std::vector<NamedTensor> ParamBlock::ema_tensors() const {
  std::vector<NamedTensor> tensors;
  for (size_t i = 0; ema_ && i < params_.size(); ++i) tensors.push_back({params_[i]->name, view(ema_, i)});
  return tensors;
}

}  // namespace gmail
