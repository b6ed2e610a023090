#include "nn/init.h"

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

void freeze(const ParamList& params) {
  for (Param* p : params) {
    p->trainable = false;
    p->value = p->value.clone();  // a storage of its own, which an op may keep in packed form
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
