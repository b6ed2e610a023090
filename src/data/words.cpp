#include "data/words.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "data/html.h"
#include "data/repair.h"
#include "data/utf32.h"
#include "io/utf8.h"

namespace gmail {
namespace {

enum class Kind { space, letter, number, other };

Kind ascii_kind(int32_t c) {
  if (c == ' ' || (c >= '\t' && c <= '\r')) return Kind::space;
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return Kind::letter;
  return c >= '0' && c <= '9' ? Kind::number : Kind::other;
}

Kind kind_of(int32_t c) {
  if (c < 0x80) return ascii_kind(c);
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return Kind::letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return Kind::number;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return Kind::space;
    default:
      return c == 0x85 ? Kind::space : Kind::other;
  }
}

// Python's str.lower() looks at cased letters and past what it calls case-ignorable (Unicode 15, sec. 3.13,
// D135 and D136) to find the end of a word.
bool ignorable(int32_t c) {
  constexpr std::array<int32_t, 16> kPunctuation = {'\'',   '.',    ':',    0xB7,   0x387,  0x55F,
                                                    0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                                    0xFE52, 0xFE55, 0xFF07, 0xFF0E};
  if (std::find(kPunctuation.begin(), kPunctuation.end(), c) != kPunctuation.end() || c == 0xFF1A)
    return true;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return false;
  }
}

bool cased(int32_t c) {
  const auto category = utf8proc_category(c);
  const bool letter = category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
                      category == UTF8PROC_CATEGORY_LT || c == 0xAA || c == 0xBA;
  const bool roman = c >= 0x2160 && c <= 0x217F, circled = c >= 0x24B6 && c <= 0x24E9;
  const bool squared =
      (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
  return letter || roman || circled || squared;
}

bool word_goes_on(std::string_view text, size_t at) {
  while (at < text.size()) {
    const CodePoint c = code_point(text, at);
    if (!ignorable(c.code)) return cased(c.code);
    at += c.bytes;
  }
  return false;
}

// Python's str.lower() is the one-to-one mapping but for two letters.
std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_word = false;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = code_point(text, i);
    i += c.bytes;
    if (c.code == 0x130) {  // capital I with dot: i and a combining dot
      out += "i\xCC\x87";
    } else if (c.code == 0x3A3) {  // capital sigma: the final form at the end of a word
      out += in_word && !word_goes_on(text, i) ? "\xCF\x82" : "\xCF\x83";
    } else if (c.code < 0x80) {
      const bool upper = c.code >= 'A' && c.code <= 'Z';
      out.push_back(static_cast<char>(upper ? c.code + ('a' - 'A') : c.code));
    } else {
      append_code_point(out, utf8proc_tolower(c.code));
    }
    in_word = ignorable(c.code) ? in_word : cased(c.code);
  }
  return out;
}

// Plain text has nothing to repair and no reference: most captions are.
bool plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~' && c != '&'; });
}

std::string single_spaced(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool blank = false;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = code_point(text, i);
    const bool space = kind_of(c.code) == Kind::space;
    if (!space && blank && !out.empty()) out.push_back(' ');
    if (!space) out.append(text, i, c.bytes);
    blank = space;
    i += c.bytes;
  }
  return out;
}

// How much of `text` is `word`, in which a long s counts as an s (the pattern is without case); 0 if none is.
size_t match(std::string_view text, std::string_view word) {
  constexpr std::string_view kLongS = "\xC5\xBF";
  size_t at = 0;
  for (const char c : word) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with(c))
      at += 1;
    else if (c == 's' && rest.starts_with(kLongS))
      at += kLongS.size();
    else
      return 0;
  }
  return at;
}

constexpr std::array<std::string_view, 7> kContractions = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};

// CLIP's pattern, which is without case, drops the iota below: it is no letter, but some of its cases are.
Kind clip_kind_of(int32_t c) { return c == 0x345 ? Kind::space : kind_of(c); }

// The end of the run of characters of the same kind that begins at `at`.
size_t run_end(std::string_view text, size_t at, Kind kind, Kind (*kind_of_code)(int32_t)) {
  while (at < text.size()) {
    const CodePoint c = code_point(text, at);
    if (kind_of_code(c.code) != kind) break;
    at += c.bytes;
  }
  return at;
}

// The end of GPT-2's word that begins at `at`.
size_t gpt2_word_end(std::string_view text, size_t at) {
  for (const std::string_view word : kContractions)
    if (text.substr(at).starts_with(word)) return at + word.size();
  const size_t begin = at + (text[at] == ' ' && at + 1 < text.size() ? 1 : 0);
  const Kind kind = kind_of(code_point(text, begin).code);
  if (kind != Kind::space) return run_end(text, begin, kind, kind_of);
  size_t last = at, end = at;  // of the white space
  while (end < text.size()) {
    const CodePoint c = code_point(text, end);
    if (kind_of(c.code) != Kind::space) break;
    last = end;
    end += c.bytes;
  }
  return end == text.size() || last == at ? end : last;
}

}  // namespace

std::string clean_text(std::string_view raw) {
  if (plain(raw)) return lower(single_spaced(raw));
  const std::u32string repaired = repair_text(to_code_points(raw));
  return lower(single_spaced(to_utf8(unescape_html(unescape_html(repaired)))));
}

std::vector<std::string_view> split_words(std::string_view text, std::string_view start,
                                          std::string_view end_word) {
  std::vector<std::string_view> words;
  for (size_t begin = 0; begin < text.size();) {
    const CodePoint first = code_point(text, begin);
    const Kind kind = clip_kind_of(first.code);
    if (kind == Kind::space) {
      begin += first.bytes;
      continue;
    }
    const std::string_view rest = text.substr(begin);
    size_t fixed = 0;  // a special token or contraction
    if (first.code == '<') fixed = std::max(match(rest, start), match(rest, end_word));
    if (first.code == '\'')
      for (size_t i = 0; i < kContractions.size() && fixed == 0; ++i) fixed = match(rest, kContractions[i]);
    const size_t after =
        kind == Kind::number ? begin + first.bytes : run_end(text, begin, kind, clip_kind_of);
    const size_t end = fixed > 0 ? begin + fixed : after;
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

std::vector<std::string_view> split_gpt2_words(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t begin = 0; begin < text.size(); begin += words.back().size())
    words.push_back(text.substr(begin, gpt2_word_end(text, begin) - begin));
  return words;
}

}  // namespace gmail
