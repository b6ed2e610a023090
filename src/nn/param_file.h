// Parameters to and from safetensors files. In the file a parameter is called prefix + its name.
#pragma once

#include <filesystem>
#include <string>

#include "io/safetensors.h"
#include "nn/param.h"

namespace gmail {

enum class Unexpected : uint8_t { refuse, ignore };

// Copies the file's tensors (names that begin with `prefix`) into the parameters' values, converting the
// type. All names that are missing, unexpected or of another shape are collected into one InputError, and
// then no value is changed.
void load_params(const SafetensorsFile& file, const ParamList& params, const std::string& prefix = "",
                 Unexpected unexpected = Unexpected::refuse);

void save_params(const std::filesystem::path& path, const ParamList& params, const Metadata& metadata = {},
                 StoreAs store = StoreAs::as_is, const std::string& prefix = "");

}  // namespace gmail
