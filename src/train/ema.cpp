#include "train/ema.h"

#include <algorithm>
#include <map>

namespace gmail {

double ema_decay_at(double decay, int64_t step) {
  const auto k = static_cast<double>(step);
  return std::min(decay, (k + 1) / (k + 10));
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
