// One caption as the Penn Treebank scanner reads it: its characters and their classes. Internal to
// ptb_tokenizer.cpp and the ptb_*.cpp files, which hold the forms of tokens.
//
// The classes are those of the reference program, which knows Unicode 6.1 up to U+FFFF. What is in no class
// separates tokens and is dropped: control characters, emoji, younger letters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gmail::ptb {

constexpr char32_t kEnd = 0xFFFFFFFF;  // behind the last character

[[nodiscard]] inline bool is_ascii_letter(char32_t c) { return (c | 0x20U) - U'a' < 26; }
[[nodiscard]] inline bool is_ascii_digit(char32_t c) { return c - U'0' < 10; }
[[nodiscard]] inline bool is_ascii_word(char32_t c) { return is_ascii_letter(c) || is_ascii_digit(c); }
[[nodiscard]] bool is_letter(char32_t c);
[[nodiscard]] bool is_mark(char32_t c);  // joins letters: accents, soft hyphen, ..
[[nodiscard]] bool is_digit(char32_t c);
[[nodiscard]] bool is_capital(char32_t c);
[[nodiscard]] bool is_cased(char32_t c);
[[nodiscard]] bool is_blank(char32_t c);    // within a line
[[nodiscard]] bool is_newline(char32_t c);  // ends a line; inside a caption too, but for "\n"
[[nodiscard]] bool is_symbol(char32_t c);   // stands alone
[[nodiscard]] bool is_one_of(char32_t c, std::u32string_view set);
// 'a' of 'A'; Kelvin's sign, the long s and the dotless and dotted i count as k, s and i
[[nodiscard]] inline char32_t plain_lower(char32_t c) {
  if (c < 0x80) return c - U'A' < 26 ? c + 32 : c;
  if (c == 0x130 || c == 0x131) return U'i';
  return c == 0x17F ? U's' : c == 0x212A ? U'k' : c;
}

// Where a scan from some place found nothing up to another place, one from in between would not either: it is
// not made again, which keeps the time linear.
enum class Search { address, name, site, file, tag, hyphen, count };

class Line {
 public:
  // `following`: what the file holds behind the caption, newline included
  Line(std::string_view caption, std::string_view following);

  [[nodiscard]] size_t size() const { return size_; }  // of the caption
  [[nodiscard]] char32_t operator[](size_t i) const { return i < text_.size() ? text_[i] : kEnd; }
  [[nodiscard]] std::u32string_view part(size_t from, size_t count) const {
    return std::u32string_view(text_).substr(from, count);
  }
  // `word` is lower case; capitals match it
  [[nodiscard]] bool has(size_t i, std::u32string_view word) const {
    for (size_t k = 0; k < word.size(); ++k)
      if (plain_lower((*this)[i + k]) != word[k]) return false;
    return true;
  }

  [[nodiscard]] bool in_vain(Search s, size_t i) const { return i < vain_[static_cast<size_t>(s)]; }
  void found_nothing(Search s, size_t up_to) const { vain_[static_cast<size_t>(s)] = up_to; }

 private:
  std::u32string text_;
  size_t size_;
  mutable size_t vain_[static_cast<size_t>(Search::count)] = {};
};

// end of the run of characters of a class that begins at i
template <class Class>
[[nodiscard]] size_t run(const Line& t, size_t i, Class in_class) {
  while (t[i] != kEnd && in_class(t[i])) ++i;
  return i;
}

}  // namespace gmail::ptb
