#include "data/html.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <unordered_map>

namespace gmail {
namespace {

struct Entity {
  char32_t first = 0, second = 0;  // second: 0 if there is none
  bool bare = false;               // counts without a semicolon
};

const std::unordered_map<std::string_view, Entity>& entities() {
  static const auto kEntities = [] {
    std::unordered_map<std::string_view, Entity> table;
    std::string_view rest = html_entities();
    while (!rest.empty()) {
      Entity e;
      e.bare = rest.front() == '&';
      rest.remove_prefix(e.bare ? 1 : 0);
      const std::string_view name = rest.substr(0, rest.find(' '));
      uint32_t code = 0;
      const char* end = std::from_chars(name.end() + 1, rest.end(), code, 16).ptr;
      e.first = code;
      if (*end == '+') {
        end = std::from_chars(end + 1, rest.end(), code, 16).ptr;
        e.second = code;
      }
      table.emplace(name, e);
      rest.remove_prefix(static_cast<size_t>(end + 1 - rest.begin()));
    }
    return table;
  }();
  return kEntities;
}

const Entity* find_entity(std::string_view name) {
  const auto found = entities().find(name);
  return found == entities().end() ? nullptr : &found->second;
}

void append(std::u32string& out, const Entity& e) {
  out += e.first;
  if (e.second != 0) out += e.second;
}

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_hex(char32_t c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_name(char32_t c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// A numeric reference's character; nothing for one that must not be.
std::optional<char32_t> character(uint32_t number) {
  if (number == 0 || (number >= 0xD800 && number <= 0xDFFF) || number > 0x10FFFF) return 0xFFFD;
  if (number >= 0x80 && number <= 0x9F) return from_windows_1252(number);
  const bool control = number < 0x20 && number != '\t' && number != '\n' && number != '\f' && number != '\r';
  const bool none = (number & 0xFFFE) == 0xFFFE || (number >= 0xFDD0 && number <= 0xFDEF);
  if (control || number == 0x7F || none) return std::nullopt;
  return number;
}

// "#38;" or "#x26;" at the front of `text`, the semicolon being optional: how long; 0 if it is no number.
size_t append_number(std::u32string& out, std::u32string_view text) {
  const bool hex = text.size() > 1 && (text[1] == 'x' || text[1] == 'X');
  const size_t begin = hex ? 2 : 1;
  size_t end = begin;
  uint32_t number = 0;
  for (; end < text.size() && (hex ? is_hex(text[end]) : is_digit(text[end])); ++end) {
    const char32_t c = text[end];
    const uint32_t digit = is_digit(c) ? c - '0' : (c | 0x20U) - 'a' + 10;
    number = std::min<uint32_t>(number * (hex ? 16 : 10) + digit, 0x110000);
  }
  if (end == begin) return 0;
  if (const auto c = character(number)) out += *c;
  return end + (end < text.size() && text[end] == ';' ? 1 : 0);
}

// "amp;" at the front of `text`, or the longest old name of at least two letters: how long; 0 if it is none.
size_t append_name(std::u32string& out, std::u32string_view text) {
  constexpr size_t kLongest = 32;
  std::string name;
  while (name.size() < std::min(kLongest, text.size()) && is_name(text[name.size()]))
    name.push_back(static_cast<char>(text[name.size()]));
  if (name.size() < text.size() && text[name.size()] == ';') {
    if (const Entity* e = find_entity(name)) {
      append(out, *e);
      return name.size() + 1;
    }
  }
  for (; name.size() > 1; name.pop_back()) {
    const Entity* e = find_entity(name);
    if (e == nullptr || !e->bare) continue;
    append(out, *e);
    return name.size();
  }
  return 0;
}

// At "&": how much of `text` is a reference, what it stands for being appended; 0 if it is none.
size_t append_reference(std::u32string& out, std::u32string_view text) {
  if (text.size() < 2) return 0;
  const size_t n = text[1] == '#' ? append_number(out, text.substr(1)) : append_name(out, text.substr(1));
  return n == 0 ? 0 : n + 1;
}

// The capitals of a character that has a small letter's name. Those that are several letters are few.
void append_capital(std::u32string& out, char32_t c) {
  struct Several {
    char32_t from;
    std::u32string_view to;
  };
  constexpr std::array<Several, 7> kSeveral = {{{0xDF, U"SS"},
                                                {0x149, U"\u02BCN"},
                                                {0xFB00, U"FF"},
                                                {0xFB01, U"FI"},
                                                {0xFB02, U"FL"},
                                                {0xFB03, U"FFI"},
                                                {0xFB04, U"FFL"}}};
  for (const Several& s : kSeveral)
    if (s.from == c) {
      out += s.to;
      return;
    }
  out += static_cast<char32_t>(utf8proc_toupper(static_cast<int32_t>(c)));
}

// As append_reference, for a reference that is complete.
size_t append_certain(std::u32string& out, std::u32string_view text) {
  constexpr size_t kLongest = 24;
  const size_t begin = text.size() > 1 && text[1] == '#' ? 2 : 1;
  size_t end = begin;
  while (end < text.size() && end - begin < kLongest && is_name(text[end])) ++end;
  if (end == begin || end == text.size() || text[end] != ';') return 0;
  const std::u32string_view reference = text.substr(0, end + 1);
  std::u32string found;
  const size_t n = append_reference(found, reference);
  const std::string name(reference.begin() + static_cast<int64_t>(begin), reference.end() - 1);
  if (n == reference.size() && (begin == 1 || found != U";")) {
    out += found;
    return n;
  }
  std::string small = name;
  for (char& c : small) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  const bool capitals = std::none_of(name.begin(), name.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  const Entity* e = begin == 1 && n == 0 && capitals ? find_entity(small) : nullptr;
  if (e == nullptr) return 0;
  append_capital(out, e->first);
  if (e->second != 0) append_capital(out, e->second);
  return reference.size();
}

template <class AppendReference>
std::u32string unescape(std::u32string_view text, const AppendReference& append_one) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t n = text[i] == '&' ? append_one(out, text.substr(i)) : 0;
    if (n == 0) out += text[i];
    i += std::max<size_t>(n, 1);
  }
  return out;
}

}  // namespace

std::u32string unescape_html(std::u32string_view text) { return unescape(text, append_reference); }
std::u32string unescape_certain_html(std::u32string_view text) { return unescape(text, append_certain); }

char32_t from_windows_1252(char32_t c) {
  constexpr std::array<char32_t, 32> kHigh = {0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021,
                                              0x2C6,  0x2030, 0x160,  0x2039, 0x152,  0x8D,   0x17D,  0x8F,
                                              0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                              0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};
  return c >= 0x80 && c <= 0x9F ? kHigh[c - 0x80] : c;
}

}  // namespace gmail
