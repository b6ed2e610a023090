#include "train/ema.h"

#include <algorithm>
#include <map>

#include "core/parallel_for.h"
#include "ops/simd.h"

namespace gmail {

double ema_decay_at(double decay, int64_t step) {
  const auto k = static_cast<double>(step);
  return std::min(decay, (k + 1) / (k + 10));
}

void update_ema(ParamBlock& block, double decay, int64_t step) {
  GMAIL_CHECK(block.has_ema(), "[ema] the parameters were laid out without one");
  const double d = ema_decay_at(decay, step);
  const auto keep = static_cast<float>(d), take = static_cast<float>(1 - d);
  parallel_for(static_cast<int64_t>(block.values().size()), 1 << 14, [&](int64_t begin, int64_t end) {
    float* __restrict e = block.ema().data();
    const float* __restrict p = block.values().data();
    GMAIL_SIMD
    for (int64_t i = begin; i < end; ++i) e[i] = keep * e[i] + take * p[i];
  });
}

void apply_ema(const ParamList& params, const std::vector<NamedTensor>& ema) {
  std::map<std::string, Param*> by_name;
  for (Param* p : params) by_name[p->name] = p;
  for (const NamedTensor& e : ema) {
    const auto found = by_name.find(e.name);
    GMAIL_CHECK(found != by_name.end(), "[ema] no parameter '", e.name, "'");
    found->second->value.copy_from(e.tensor);
  }
}

}  // namespace gmail
