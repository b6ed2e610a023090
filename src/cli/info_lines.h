// What gmail info prints of a CLIP, and the lines that all its answers are made of.
#pragma once

#include "gmail/clip_folder.h"

namespace gmail::cli {

// "key           value"
void line(const std::string& key, const std::string& value);

// "151,277,313 parameters in 398 tensors, F32" of the tensors whose names begin with one of `prefixes`.
[[nodiscard]] std::string count_params(const TensorFiles& file, const std::vector<std::string>& prefixes);

// Architecture, parameters of each tower and their types, activation, context, resolution, preprocessing,
// licence.
void show_clip(const std::filesystem::path& folder, const ClipSaid& said);

}  // namespace gmail::cli
