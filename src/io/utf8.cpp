#include "io/utf8.h"

namespace gmail {
namespace {

// What the lead byte allows (Unicode 15, table 3-7): how many bytes follow, and the range of the first of
// them.
struct Lead {
  size_t follow;
  unsigned char low, high;
  int32_t bits;
};

Lead lead_of(unsigned char c) {
  if (c >= 0xC2 && c <= 0xDF) return {1, 0x80, 0xBF, c & 0x1F};
  if (c == 0xE0) return {2, 0xA0, 0xBF, 0};         // no overlong form
  if (c == 0xED) return {2, 0x80, 0x9F, c & 0x0F};  // no surrogate
  if (c >= 0xE1 && c <= 0xEF) return {2, 0x80, 0xBF, c & 0x0F};
  if (c == 0xF0) return {3, 0x90, 0xBF, 0};
  if (c >= 0xF1 && c <= 0xF3) return {3, 0x80, 0xBF, c & 0x07};
  if (c == 0xF4) return {3, 0x80, 0x8F, c & 0x07};  // nothing above U+10FFFF
  return {0, 0, 0, -1};
}

}  // namespace

CodePoint code_point(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(at) < 0x80) return {byte(at), 1};
  const Lead lead = lead_of(byte(at));
  int32_t code = lead.bits;
  for (size_t i = 1; i <= lead.follow; ++i) {
    const unsigned char low = i == 1 ? lead.low : 0x80, high = i == 1 ? lead.high : 0xBF;
    if (at + i >= text.size() || byte(at + i) < low || byte(at + i) > high) return {-1, i};
    code = code * 64 + (byte(at + i) & 0x3F);
  }
  return {code, lead.follow + 1};
}

void append_code_point(std::string& out, int32_t code) {
  const auto put = [&](int32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xE0 | code >> 12);
    } else {
      put(0xF0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3F));
    }
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

size_t find_bad_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = code_point(text, i);
    if (c.code < 0) return i;
    i += c.bytes;
  }
  return std::string_view::npos;
}

std::string replace_bad_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = code_point(text, i);
    if (c.code < 0)
      out += "\xEF\xBF\xBD";
    else
      out.append(text, i, c.bytes);
    i += c.bytes;
  }
  return out;
}

}  // namespace gmail
