// Parameters to and from safetensors files. In the file a parameter is called prefix + its name, and lies
// transposed if it says so (Param::transposed).
#pragma once

#include <filesystem>
#include <string>

#include "io/tensor_files.h"
#include "nn/param.h"

namespace gmail {

enum class Unexpected : uint8_t { refuse, ignore };

// The tensors whose names begin with `prefix` become the parameters' values, converted to their type. A
// trainable parameter's value is written where it lies; a frozen one on the CPU gets a new constant value, a
// view of the mapped file where that fits, so that a model starts without reading its weights. All names
// that are missing, unexpected or of another shape are collected into one InputError, and then no value is
// changed.
void load_params(const TensorFiles& files, const ParamList& params, const std::string& prefix = "",
                 Unexpected unexpected = Unexpected::refuse);

void save_params(const std::filesystem::path& path, const ParamList& params, const Metadata& metadata = {},
                 StoreAs store = StoreAs::as_is, const std::string& prefix = "");

}  // namespace gmail
