// UTF-8, one code point at a time. Nothing here fails on bytes that are not UTF-8: they are reported or
// replaced.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gmail {

struct CodePoint {
  int32_t code = -1;  // -1: the bytes are not UTF-8
  size_t bytes =
      1;  // how many were looked at; for bad ones the "maximal subpart" of Unicode 15, sec. 3.9, D93b
};

// at < text.size()
[[nodiscard]] CodePoint code_point(std::string_view text, size_t at);
void append_code_point(std::string& out, int32_t code);

// Where the first byte stands that is not UTF-8; npos if the text is clean.
[[nodiscard]] size_t find_bad_utf8(std::string_view text);
// Each bad part becomes U+FFFD, as Python's decode(errors="replace") does.
[[nodiscard]] std::string replace_bad_utf8(std::string_view text);

}  // namespace gmail
