// Initial values. Element i of a parameter depends on (seed, its name, i) alone: the order in which a model
// is put together does not matter, and adding a part changes no other part.
#pragma once

#include <string_view>

#include "nn/param.h"

namespace gmail {

void init_normal(Param& p, double stddev, uint64_t seed);
void init_uniform(Param& p, double bound, uint64_t seed);  // U(-bound, bound)
void init_constant(Param& p, double value);

// A parameter of zeros with a name and a shape.
[[nodiscard]] Param make_param(std::string name, const Shape& shape, bool decay = true);

// Marks parameters as frozen: they leave the tape and their storage may be packed once.
void freeze(const ParamList& params);

[[nodiscard]] int64_t count_elements(const ParamList& params, bool trainable_only = false);

}  // namespace gmail
