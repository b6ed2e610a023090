#include "nn/init.h"

#include <map>

#include "core/rng.h"

namespace gmail {

void init_normal(Param& p, double stddev, uint64_t seed) {
  fill_normal(p.value, stddev, seed, Purpose::init, 0, stream_index(p.name));
}

void init_uniform(Param& p, double bound, uint64_t seed) {
  fill_uniform(p.value, -bound, bound, seed, Purpose::init, 0, stream_index(p.name));
}

void init_constant(Param& p, double value) { p.value.fill(value); }

Param make_param(std::string name, const Shape& shape, bool decay) {
  Param p;
  p.name = std::move(name);
  p.value = Tensor::zeros(shape);
  p.decay = decay;
  return p;
}

void place(const ParamList& params, Device device) {
  std::map<Storage*, Tensor> moved;  // the old tensors stay alive here, so no address is used twice
  std::vector<Tensor> old;
  for (Param* p : params) {
    if (p->value.device() == device) continue;
    const Tensor before = p->value;
    old.push_back(before);
    const auto [it, first] = moved.try_emplace(&before.storage());
    if (first || it->second.numel() != before.numel()) it->second = before.to(device);
    p->value = it->second.reshape(before.shape());
    p->value.storage().constant = before.storage().constant;
  }
}

void freeze(const ParamList& params) {
  for (Param* p : params) {
    p->trainable = false;
    // a storage of its own, which nobody else writes and an op may keep in packed form
    if (!p->value.storage().constant && !p->value.sole()) p->value = p->value.clone();
    p->value.storage().constant = true;
    p->slot = GradSlot{};
  }
}

int64_t count_elements(const ParamList& params, bool trainable_only) {
  int64_t n = 0;
  for (const Param* p : params)
    if (p->trainable || !trainable_only) n += p->value.numel();
  return n;
}

}  // namespace gmail
