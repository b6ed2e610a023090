// What an op makes of a weight that never changes again (Storage::constant), rearranged for a product or
// converted to another type, is made once and kept with the weight's storage.
#pragma once

#include <functional>
#include <string_view>

#include "core/tensor.h"

namespace gmail {

// The copy of `t` in `form` (a literal, the op's name for the arrangement) and `type`: the one that is
// there, or else what make() returns. Absent if the storage of `t` may change. The copies of different
// tensors in one storage (a whole model may be one block) are told apart by place, shape and type. If `t`
// lies over a mapped file its pages are let go of.
[[nodiscard]] Tensor kept_copy(const Tensor& t, std::string_view form, DType type,
                               const std::function<Tensor()>& make);

}  // namespace gmail
