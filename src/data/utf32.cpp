#include "data/utf32.h"

#include "io/utf8.h"

namespace gmail {

std::u32string to_code_points(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = code_point(text, i);
    out += c.code < 0 ? U'\uFFFD' : static_cast<char32_t>(c.code);
    i += c.bytes;
  }
  return out;
}

std::string to_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_code_point(out, static_cast<int32_t>(c));
  return out;
}

}  // namespace gmail
