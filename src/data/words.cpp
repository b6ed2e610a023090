#include "data/words.h"

#include <utf8proc.h>

#include <array>

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

bool letter_at(std::string_view text, size_t at) {
  return at < text.size() && kind_of(code_point(text, at).code) == Kind::letter;
}

// Python's str.lower() is the one-to-one mapping but for two letters.
void append_lower(std::string& out, std::string_view text, size_t at, CodePoint c, bool after_letter) {
  if (c.code < 0x80) {
    const bool upper = c.code >= 'A' && c.code <= 'Z';
    out.push_back(static_cast<char>(upper ? c.code + ('a' - 'A') : c.code));
  } else if (c.code == 0x130) {  // capital I with dot: i and a combining dot
    out += "i\xCC\x87";
  } else if (c.code == 0x3A3) {  // capital sigma: the final form at the end of a word
    out += after_letter && !letter_at(text, at + c.bytes) ? "\xCF\x82" : "\xCF\x83";
  } else {
    append_code_point(out, utf8proc_tolower(c.code));
  }
}

// The length of the contraction or special word at the front of `text`; 0 if there is none.
size_t fixed_word(std::string_view text) {
  constexpr std::array<std::string_view, 9> kFixed = {kStartOfText, kEndOfText, "'s",  "'t", "'re",
                                                      "'ve",        "'m",       "'ll", "'d"};
  if (text[0] != '\'' && text[0] != '<') return 0;
  for (const std::string_view word : kFixed)
    if (text.starts_with(word)) return word.size();
  return 0;
}

}  // namespace

std::string clean_text(std::string_view raw) {
  const std::string text = replace_bad_utf8(raw);
  std::string out;
  out.reserve(text.size());
  Kind last = Kind::space;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = code_point(text, i);
    const Kind kind = kind_of(c.code);
    if (kind == Kind::space) {
      if (last != Kind::space) out.push_back(' ');
    } else {
      append_lower(out, text, i, c, last == Kind::letter);
    }
    last = kind;
    i += c.bytes;
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t begin = 0; begin < text.size();) {
    const CodePoint first = code_point(text, begin);
    const Kind kind = kind_of(first.code);
    if (kind == Kind::space) {
      begin += first.bytes;
      continue;
    }
    size_t end = begin + fixed_word(text.substr(begin));
    if (end == begin) {
      end += first.bytes;
      while (kind != Kind::number && end < text.size()) {
        const CodePoint next = code_point(text, end);
        if (kind_of(next.code) != kind) break;
        end += next.bytes;
      }
    }
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

}  // namespace gmail
