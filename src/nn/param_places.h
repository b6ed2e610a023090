// Parameters in files that name, cut and turn them in ways of their own. nn/param_file.h is the plain case.
#pragma once

#include <functional>
#include <string>

#include "io/tensor_files.h"
#include "nn/param.h"

namespace gmail {

// Where a parameter stands: in the tensor `name`, as the `part`-th of `parts` equal blocks of its rows, or
// transposed.
struct Place {
  std::string name;
  int64_t part = 0, parts = 1;
  bool transposed = false;
};
using Places = std::function<Place(const Param&)>;

// One InputError that lists all names that are missing, unexpected or of another shape, as they stand in the
// files. Tensors that `ignored` is true of may be there; absent: none.
void check_params(const TensorFiles& files, const ParamList& params, const Places& places,
                  const std::function<bool(const std::string& name)>& ignored = {});

// What stands in the places becomes the parameters' values, converted to their type. A trainable parameter's
// value is written where it lies; a frozen one on the CPU gets a new constant value, a view of the mapped
// file where that fits, so that a model starts without reading its weights. check_params first.
void fill_params(const TensorFiles& files, const ParamList& params, const Places& places);

// The parameters' values as the tensors of a file with these places.
[[nodiscard]] std::vector<NamedTensor> put_params(const ParamList& params, const Places& places);

}  // namespace gmail
