// The header of a safetensors file (io/safetensors.h), read without a tree of its JSON: what it costs is
// bounded by what it lists, however it is nested.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/shape.h"

namespace gmail {

constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;  // bytes

// Bits of one element, 0 for a type that the format does not know.
[[nodiscard]] uint64_t safetensors_bits(std::string_view dtype);

struct SafetensorsEntry {
  std::string dtype;
  Shape shape;
  uint64_t begin = 0, end = 0;  // in the data behind the header
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::map<std::string, SafetensorsEntry> tensors;
};

// `text` is the header, `data_bytes` the size of what follows it. InputError names the tensor and what is
// wrong: no JSON, a key twice, an unknown field or dtype, more than six dimensions, sizes that overflow or do
// not fit their offsets, a gap or an overlap, data that belongs to no tensor.
[[nodiscard]] SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes);

}  // namespace gmail
