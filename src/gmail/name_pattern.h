// Names of layers as peft's patterns describe them (peft/utils/other.py, get_pattern_key): a pattern is a
// regular expression for the whole path or for its end from a dot on.
//
//   pattern_matches("q_proj", "vision_model.encoder.layers.0.self_attn.q_proj")            true
//   pattern_matches(R"(layers\.(0|1)\..*proj)", "vision_model.encoder.layers.1.self_attn.q_proj")  true
#pragma once

#include <string>

namespace gmail {

// Literals, ., classes, groups, |, *, +, ?, anchors, \d, \w, \s and escaped punctuation. Whatever else Python
// knows is an InputError that begins with `where`.
[[nodiscard]] bool pattern_matches(const std::string& pattern, const std::string& path,
                                   const std::string& where);

}  // namespace gmail
