#include "data/repair.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "core/check.h"
#include "data/html.h"
#include "data/utf32.h"

namespace gmail {
namespace {

// The letters of a Latin ligature; none for another character.
std::u32string_view ligature(char32_t c) {
  constexpr std::array<std::u32string_view, 7> kTypographic = {U"ff",  U"fi",      U"fl", U"ffi",
                                                               U"ffl", U"\u017Ft", U"st"};
  constexpr std::array<std::u32string_view, 9> kDigraphs = {U"D\u017D", U"D\u017E", U"d\u017E", U"LJ", U"Lj",
                                                            U"lj",      U"NJ",      U"Nj",      U"nj"};
  constexpr std::array<std::u32string_view, 3> kDz = {U"DZ", U"Dz", U"dz"};
  if (c >= 0xFB00 && c <= 0xFB06) return kTypographic[c - 0xFB00];
  if (c >= 0x1C4 && c <= 0x1CC) return kDigraphs[c - 0x1C4];
  if (c >= 0x1F1 && c <= 0x1F3) return kDz[c - 0x1F1];
  if (c == 0x132) return U"IJ";
  if (c == 0x133) return U"ij";
  return c == 0x149 ? std::u32string_view(U"\u02BCn") : std::u32string_view();
}

void append_straight(std::u32string& out, char32_t c) {
  const bool single_quote = c == 0x2BC || (c >= 0x2018 && c <= 0x201B),
             double_quote = c >= 0x201C && c <= 0x201F;
  const bool line_break = c == '\r' || c == 0x2028 || c == 0x2029;
  out += single_quote ? U'\'' : double_quote ? U'"' : line_break ? U'\n' : c;
}

// One character by the rules that look at nothing else.
void append_repaired(std::u32string& out, char32_t c) {
  c = from_windows_1252(c);
  const std::u32string_view letters = ligature(c);
  if (c == 0x3000) {
    out += U' ';
  } else if (c >= 0xFF01 && c < 0xFFF0) {
    std::array<int32_t, 8> usual{};
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE);
    const auto n = utf8proc_decompose_char(static_cast<int32_t>(c), usual.data(), 8, options, nullptr);
    for (size_t i = 0; i < static_cast<size_t>(n); ++i) append_straight(out, static_cast<char32_t>(usual[i]));
  } else if (letters.empty()) {
    append_straight(out, c);
  } else {
    for (const char32_t letter : letters) append_straight(out, letter);
  }
}

// ESC [ numbers letter, as terminals take for colours: how long at the front of `text`, 0 if it is none.
size_t terminal_escape(std::u32string_view text) {
  if (text.size() < 3 || text[0] != 0x1B || text[1] != '[') return 0;
  size_t i = 2;
  const auto digit = [](char32_t c) {
    return utf8proc_category(static_cast<int32_t>(c)) == UTF8PROC_CATEGORY_ND;
  };
  while (i < text.size() && (text[i] == ';' || digit(text[i]))) ++i;
  if (i == text.size()) return 0;
  const char32_t small = text[i] | 0x20U;
  return small >= 'a' && small <= 'z' ? i + 1 : 0;
}

bool is_control(char32_t c) {
  if (c < 0x20) return c != '\t' && c != '\n' && c != '\f' && c != '\r';
  return c == 0x7F || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

std::u32string without_controls(std::u32string_view text) {
  std::u32string out;
  for (size_t i = 0; i < text.size();) {
    const size_t escape = terminal_escape(text.substr(i));
    if (escape == 0 && !is_control(text[i])) out += text[i];
    i += std::max<size_t>(escape, 1);
  }
  return out;
}

std::u32string composed(const std::u32string& text) {
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x300; })) return text;
  const std::string bytes = to_utf8(text);
  uint8_t* raw = nullptr;
  const auto n =
      utf8proc_map(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int64_t>(bytes.size()), &raw,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<uint8_t, decltype(&std::free)> owner(raw, &std::free);
  GMAIL_CHECK(n >= 0, "[repair] ", utf8proc_errmsg(n));
  return to_code_points({reinterpret_cast<const char*>(raw), static_cast<size_t>(n)});
}

std::u32string repaired_line(std::u32string line, bool unescape) {
  constexpr int kMostPasses = 64;  // nested references; a text made to nest more must not take forever
  for (int pass = 0; pass < kMostPasses; ++pass) {
    const std::u32string before = line;
    if (unescape) line = unescape_certain_html(line);
    std::u32string usual;
    for (const char32_t c : line) append_repaired(usual, c);
    line = composed(without_controls(usual));
    if (line == before) break;
  }
  return line;
}

}  // namespace

std::u32string repair_text(std::u32string_view text) {
  std::u32string out;
  bool unescape = true;
  while (!text.empty()) {
    const std::u32string_view line = text.substr(0, std::min(text.find(U'\n'), text.size() - 1) + 1);
    text.remove_prefix(line.size());
    unescape = unescape && line.find(U'<') == std::u32string_view::npos;
    out += repaired_line(std::u32string(line), unescape);
  }
  return out;
}

}  // namespace gmail
