// A checkpoint: one safetensors file with weights, Adam's moments and the moving average of everything that
// is trained. Random numbers and the loader's order are functions of (seed, step), so the step is all the
// state they have. Metadata: "format", "step", and "identity": the JSON of everything that decides the run's
// result.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "nn/param_block.h"

namespace gmail {

// Atomic. `step` is the number of steps done.
void save_checkpoint(const std::filesystem::path& path, const ParamBlock& block, int64_t step,
                     const nlohmann::json& identity);

// Fills the block and returns the number of steps done. InputError if the file is no checkpoint, or belongs
// to another run or model: then it names what differs ("/lr is 0.001 there, 0.002 here") and the block is
// unchanged.
[[nodiscard]] int64_t load_checkpoint(const std::filesystem::path& path, const ParamBlock& block,
                                      const nlohmann::json& identity);

// A number that changes when a frozen weight changes: FNV-1a over names and values, as 16 hex digits.
[[nodiscard]] std::string frozen_digest(const ParamList& params);

}  // namespace gmail
