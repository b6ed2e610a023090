#include "eval/meteor_text.h"

#include <algorithm>
#include <array>

#include "io/utf8.h"

namespace gmail {
namespace {

using Text = std::u32string;

// A dot of "..", "...": such a run is a word of its own, which no later rule touches. Not a character.
constexpr char32_t kRunDot = 0x110000;

bool in(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }
bool is_digit(char32_t c) { return in(c, '0', '9'); }
bool is_lower(char32_t c) { return in(c, 'a', 'z'); }
// Latin of Western and Central Europe, Cyrillic, phonetic extensions
bool is_alpha(char32_t c) {
  return is_lower(c) || in(c, 'A', 'Z') || (in(c, 0xC0, 0x17E) && c != 0xD7 && c != 0xF7) ||
         in(c, 0x400, 0x527) || in(c, 0x1D00, 0x1D7F) || in(c, 0xA640, 0xA66E) || in(c, 0xA67E, 0xA697);
}
bool is_alnum(char32_t c) { return is_digit(c) || is_alpha(c); }
bool is_blank(char32_t c) { return c == ' ' || in(c, '\t', '\n') || in(c, '\f', '\r'); }
// Blanks that Unicode has besides: they are no words.
bool is_wide_blank(char32_t c) {
  return c == 0xA0 || in(c, 0x2000, 0x200A) || c == 0x202F || c == 0x205F || c == 0x3000;
}
bool is_quote(char32_t c) { return c == '`' || c == 0x2018 || c == 0x2019; }

Text decode(std::string_view line) {
  Text text;
  for (size_t at = 0; at < line.size();) {
    const CodePoint c = code_point(line, at);
    text += c.code < 0 ? char32_t{0xFFFD} : static_cast<char32_t>(c.code);
    at += c.bytes;
  }
  return text;
}

// Every character that is neither of a word nor handled below becomes a word.
Text separate_signs(const Text& text) {
  Text out;
  for (const char32_t c : text) {
    const bool stays = is_alnum(c) || is_blank(c) || c == '\v' || is_quote(c) || c == '.' || c == '\'' ||
                       c == ',' || c == '-';
    if (!stays) out += U' ';
    out += c;
    if (!stays) out += U' ';
  }
  return out;
}

Text separate_dot_runs(const Text& text) {
  Text out;
  for (size_t i = 0; i < text.size();) {
    const size_t end = std::min(text.find_first_not_of(U'.', i), text.size());
    if (end - i < 2) {
      out += text[i++];
      continue;
    }
    out += U' ' + Text(end - i, kRunDot) + U' ';
    i = end;
  }
  return out;
}

Text replace_all(const Text& text, const Text& what, const Text& by) {
  Text out;
  for (size_t i = 0; i < text.size();) {
    const bool here = text.compare(i, what.size(), what) == 0;
    out += here ? by : Text(1, text[i]);
    i += here ? what.size() : 1;
  }
  return out;
}

// `middle` becomes `by` where its neighbours are such. As with a regular expression of three characters, what
// has been the right neighbour of one is not the left one of the next: "x,y,z" loses one comma.
template <class Left, class Right>
Text replace_between(const Text& text, Left&& left, char32_t middle, Right&& right, const Text& by) {
  Text out;
  for (size_t i = 0; i < text.size();) {
    out += text[i];
    if (i + 2 < text.size() && text[i + 1] == middle && left(text[i]) && right(text[i + 2])) {
      out += by;
      out += text[i + 2];
      i += 3;
    } else {
      ++i;
    }
  }
  return out;
}

Text separate_commas(Text text) {
  const auto other = [](char32_t c) { return !is_digit(c); };
  text = replace_between(text, other, U',', other, U" , ");
  text = replace_between(text, is_digit, U',', other, U" , ");
  return replace_between(text, other, U',', is_digit, U" , ");
}

Text unify_quotes_and_dashes(Text text) {
  std::replace_if(text.begin(), text.end(), is_quote, U'\'');
  text = replace_all(text, U"''", U" \" ");
  std::replace_if(
      text.begin(), text.end(), [](char32_t c) { return c == 0x201C || c == 0x201D; }, U'"');
  std::replace(text.begin(), text.end(), char32_t{0x2013}, U'-');
  text = replace_all(text, U"--", U"-");
  return replace_between(
      text, [](char32_t c) { return is_alnum(c) || c == '.'; }, U'-', is_alnum, U" ");
}

// "man's" -> man 's; an apostrophe elsewhere is a word
Text separate_apostrophes(Text text) {
  const auto other = [](char32_t c) { return !is_alpha(c); };
  text = replace_between(text, other, U'\'', other, U" ' ");
  text = replace_between(
      text, [](char32_t c) { return !is_alnum(c); }, U'\'', is_alpha, U" ' ");
  text = replace_between(text, is_alpha, U'\'', other, U" ' ");
  text = replace_between(text, is_alpha, U'\'', is_alpha, U" '");
  return replace_between(
      text, is_digit, U'\'', [](char32_t c) { return c == 's'; }, U" '");
}

std::vector<Text> split(const Text& text) {
  std::vector<Text> words;
  for (size_t i = 0; i < text.size();) {
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(i);
    const auto end = std::find_if(begin, text.end(), is_blank);
    if (begin != end) words.emplace_back(begin, end);
    i = static_cast<size_t>(end - text.begin()) + 1;
  }
  return words;
}

// The dot at the end of a word: removed with the others from "u.s.", kept where a sentence goes on ("mr. x",
// "vs. 2"), else a word of its own.
void place_dot(const Text& word, const Text& next, std::vector<Text>& out) {
  constexpr std::array<std::u32string_view, 3> kAbbreviations{U"rev", U"v", U"vs"};
  const Text before = word.substr(0, word.size() - 1);
  if (before.find(U'.') != Text::npos && std::any_of(before.begin(), before.end(), is_alpha)) {
    out.push_back(replace_all(word, U".", U""));
    return;
  }
  const bool known = std::find(kAbbreviations.begin(), kAbbreviations.end(), before) != kAbbreviations.end();
  const bool pages = before == U"pp" && !next.empty() && is_digit(next.front());
  if (known || pages || (!next.empty() && is_lower(next.front()))) {
    out.push_back(word);
    return;
  }
  out.push_back(before);
  out.push_back(U".");
}

std::string encode(const Text& word) {
  std::string out;
  for (const char32_t c : word) append_code_point(out, c == kRunDot ? '.' : static_cast<int32_t>(c));
  return out;
}

}  // namespace

Words meteor_words(std::string_view line) {
  Text text = U' ' + decode(line) + U' ';  // so that every character has neighbours
  text = separate_commas(separate_dot_runs(separate_signs(text)));
  text = separate_apostrophes(unify_quotes_and_dashes(std::move(text)));
  const std::vector<Text> words = split(text);
  std::vector<Text> placed;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i].size() > 1 && words[i].back() == '.') {
      place_dot(words[i], i + 1 < words.size() ? words[i + 1] : Text(), placed);
    } else if (!is_wide_blank(words[i].front())) {
      placed.push_back(words[i]);
    }
  }
  Words out;
  for (const Text& word : placed) out.push_back(encode(word));
  return out;
}

bool is_function_word(std::string_view word) {
  static constexpr auto kWords = std::to_array<std::string_view>(
      {"\"",    "$",     "'",    "'s",   "'t",   "(",     ")",     ",",     "-",     "--",
       "-lrb-", "-rrb-", ".",    ":",    "?",    "a",     "about", "after", "all",   "also",
       "an",    "and",   "are",  "as",   "at",   "be",    "been",  "but",   "by",    "can",
       "could", "first", "for",  "from", "had",  "has",   "have",  "he",    "her",   "his",
       "i",     "if",    "in",   "into", "is",   "it",    "its",   "last",  "more",  "new",
       "no",    "not",   "of",   "on",   "one",  "or",    "other", "out",   "over",  "people",
       "s",     "said",  "she",  "so",   "some", "than",  "that",  "the",   "their", "there",
       "they",  "this",  "time", "to",   "two",  "up",    "was",   "we",    "were",  "what",
       "when",  "which", "who",  "will", "with", "would", "year",  "years", "you",   "\xE2\x80\x94"});
  static_assert(std::is_sorted(kWords.begin(), kWords.end()));
  return std::binary_search(kWords.begin(), kWords.end(), word);
}

}  // namespace gmail
