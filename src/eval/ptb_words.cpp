// Words and contractions.
#include <algorithm>
#include <array>

#include "eval/ptb_forms.h"

namespace gmail::ptb {
namespace {

constexpr std::u32string_view kStops = U",;:\u3001";  // a full stop before one of these belongs to its word
constexpr char32_t kSoftHyphen = 0xAD;

[[nodiscard]] bool is_letter_or_digit(char32_t c) { return is_letter(c) || is_digit(c); }
[[nodiscard]] bool is_hyphen(char32_t c) { return is_one_of(c, U"-_\u058A\u2010\u2011"); }
[[nodiscard]] size_t ascii_letters(const Line& t, size_t i) { return run(t, i, is_ascii_letter); }
[[nodiscard]] size_t ascii_words(const Line& t, size_t i) { return run(t, i, is_ascii_word); }

// &eacute; &Uuml; &agrave;: such a name is one letter
[[nodiscard]] size_t accented_entity(const Line& t, size_t i) {
  if (t[i] != '&' || !is_one_of(t[i + 1], U"aeiouAEIOU")) return 0;
  for (const std::u32string_view accent : {U"acute;", U"grave;", U"uml;"})
    if (t.has(i + 2, accent)) return 2 + accent.size();
  return 0;
}

[[nodiscard]] size_t word_letter(const Line& t, size_t i) {
  return is_letter(t[i]) || is_mark(t[i]) ? 1 : accented_entity(t, i);
}

// letters and digits after a letter
[[nodiscard]] size_t word_part(const Line& t, size_t i) {
  const size_t begin = i;
  for (size_t n = word_letter(t, i); n > 0; n = is_digit(t[i]) ? 1 : word_letter(t, i)) i += n;
  return i - begin;
}

// a form that keeps its full stop before , ; :
[[nodiscard]] Found with_stop(const Line& t, size_t i, size_t length) {
  const bool stop = length > 0 && t[i + length] == '.' && is_one_of(t[i + length + 1], kStops);
  return stop ? token_before(length + 1, 1) : Found{};
}

// the d' of d'Avignon and its like, with the first letter or digit after it
[[nodiscard]] size_t elided_article(const Line& t, size_t i) {
  if (!is_one_of(t[i], U"dDoOlL")) return 0;
  const size_t mark = any_apostrophe(t, i + 1);
  return mark > 0 && is_letter_or_digit(t[i + 1 + mark]) ? 2 + mark : 0;
}

[[nodiscard]] size_t compound_part(const Line& t, size_t i) {
  const size_t article = elided_article(t, i);
  if (article > 0 && is_letter_or_digit(t[i + article])) return run(t, i + article, is_letter_or_digit) - i;
  return run(t, i, is_letter_or_digit) - i;
}

[[nodiscard]] size_t compound_length(const Line& t, size_t i) {
  size_t length = compound_part(t, i);
  while (length > 0 && is_hyphen(t[i + length])) {
    const size_t next = compound_part(t, i + length + 1);
    if (next == 0) break;
    length += 1 + next;
  }
  return length;
}

// figures and letters with points and commas, a hyphen, more: 1,000-a, 3.5-inch, x-U.S.
[[nodiscard]] size_t hyphenated_length(const Line& t, size_t i) {
  if (!is_ascii_word(t[i]) || t.in_vain(Search::hyphen, i)) return 0;
  const auto in_part = [](char32_t c) { return is_ascii_word(c) || c == kSoftHyphen; };
  size_t end = run(t, i, [&](char32_t c) { return in_part(c) || c == '.' || c == ','; });
  const size_t first = end;
  while (t[end] == '-') {
    size_t next = run(t, end + 1, in_part);
    if (const size_t n = initials(t, end + 1); n > 2) next = std::max(next, end + 1 + n);
    if (next == end + 1) break;
    end = next;
  }
  if (end > first) return end - i;
  t.found_nothing(Search::hyphen, first);
  return 0;
}

[[nodiscard]] size_t joined_capitals_length(const Line& t, size_t i) {
  const auto capital = [](char32_t c) { return c >= 'A' && c <= 'Z'; };
  const size_t first = run(t, i, capital);
  size_t end = first;
  while (end > i) {
    const size_t sign = t[end] == '+' ? 1 : t.has(end, U"&amp;") ? 5 : t[end] == '&' ? 1 : 0;
    const size_t next = run(t, end + sign, capital);
    if (sign == 0 || next == end + sign) break;
    end = next;
  }
  return end > first ? end - i : 0;
}

// ab, ab-cd, ab-cd-ef
[[nodiscard]] size_t between_slashes(const Line& t, size_t i) {
  size_t end = ascii_words(t, i);
  for (int part = 0; part < 2 && end > i && t[end] == '-'; ++part) {
    const size_t next = ascii_letters(t, end + 1);
    if (next == end + 1) break;
    end = next;
  }
  return end - i;
}

// goin' and o'clock: a vowel, an apostrophe, a vowel or a capital
[[nodiscard]] size_t vowels_around_apostrophe(const Line& t, size_t i) {
  const size_t end = run(t, i, is_letter), mark = any_apostrophe(t, end);
  if (end < i + 2 || mark == 0 || !is_one_of(t[end - 1], U"aeiouyAEIOUY")) return 0;
  const char32_t next = t[end + mark];
  if (!is_one_of(next, U"aeiou") && !(next >= 'A' && next <= 'Z')) return 0;
  return run(t, end + mark + 1, is_letter) - i;
}

[[nodiscard]] size_t word_then_apostrophe(const Line& t, size_t i) {
  size_t longest = 0;
  for (const std::u32string_view w : {U"l", U"d", U"j", U"dunkin", U"somethin", U"ol"})
    if (const size_t mark = t.has(i, w) ? apostrophe(t, i + w.size()) : 0; mark > 0)
      longest = std::max(longest, w.size() + mark);
  for (const std::u32string_view w :
       {U"cont'd", U"cont'd.", U"nor'easter", U"c'mon", U"e'er", U"s'mores", U"ev'ry", U"li'l", U"nat'l"})
    if (t.has(i, w)) longest = std::max(longest, w.size());
  return longest;
}

[[nodiscard]] size_t apostrophe_then_word(const Line& t, size_t i) {
  const size_t mark = apostrophe(t, i);
  if (mark == 0) return 0;
  size_t longest = 0;
  for (const std::u32string_view w : {U"em", U"til", U"till", U"cause"})
    if (t.has(i + mark, w)) longest = mark + w.size();
  if (t[i + mark] >= '2' && t[i + mark] <= '9' && t.has(i + mark + 1, U"0s")) longest = mark + 3;
  if (t.has(i + mark, U"n")) longest = std::max(longest, mark + 1 + apostrophe(t, i + mark + 1));
  return longest;
}

}  // namespace

size_t letters(const Line& t, size_t i) {
  const size_t begin = i;
  while (const size_t n = word_letter(t, i)) i += n;
  return i - begin;
}

size_t word(const Line& t, size_t i) {
  size_t length = word_part(t, i);
  while (length > 0 && is_one_of(t[i + length], U".!?")) {
    const size_t next = word_part(t, i + length + 1);
    if (next == 0) break;
    length += 1 + next;
  }
  return length;
}

size_t apostrophe(const Line& t, size_t i) {
  if (is_one_of(t[i], U"'\u0092\u2019")) return 1;
  return t.has(i, U"&apos;") ? 6 : 0;
}

size_t any_apostrophe(const Line& t, size_t i) {
  return is_one_of(t[i], U"`\u0091\u2018\u201B") ? 1 : apostrophe(t, i);
}

size_t auxiliary(const Line& t, size_t i) {
  const size_t mark = apostrophe(t, i);
  if (mark == 0) return 0;
  for (const std::u32string_view w : {U"re", U"ve", U"ll"})
    if (t.has(i + mark, w)) return mark + 2;
  return is_one_of(t[i + mark], U"msdMSD") ? mark + 1 : 0;
}

Found run_together(const Line& t, size_t i) {
  for (const std::u32string_view w : {U"cannot", U"'twas"})
    if (t.has(i, w)) return token_before(w.size() - 3, 3);
  for (const std::u32string_view w : {U"'tis", U"gonna", U"gotta", U"lemme", U"gimme", U"wanna"})
    if (t.has(i, w)) return token_before(w.size() - 2, 2);
  return {};
}

Found word_before_auxiliary(const Line& t, size_t i) {
  const size_t length = word(t, i), aux = length > 0 ? auxiliary(t, i + length) : 0;
  return aux > 0 ? token_before(length, aux) : Found{};
}

// The verb is of ASCII letters and does not end in n itself.
Found verb_before_not(const Line& t, size_t i) {
  const auto in_verb = [](char32_t c) { return is_ascii_letter(c) || c == kSoftHyphen; };
  const size_t end = run(t, i, in_verb);
  if (end < i + 2) return {};
  const Found rest = not_token(t, end - 1);
  size_t last = end - 1;
  while (last > i && t[last - 1] == kSoftHyphen) --last;
  const bool verb = last > i && !is_one_of(t[last - 1], U"nN");
  return rest.seen > 0 && verb ? token_before(end - 1 - i, rest.text) : Found{};
}

Found plain_word(const Line& t, size_t i) { return token(word(t, i)); }

Found word_with_apostrophe(const Line& t, size_t i) {
  size_t longest =
      std::max({word_then_apostrophe(t, i), apostrophe_then_word(t, i), vowels_around_apostrophe(t, i)});
  // a capital but I and Y: J'accuse; n for the end of "don'ts"
  const bool capital = t[i] >= 'A' && t[i] <= 'Z' && t[i] != 'I' && t[i] != 'Y';
  if (const size_t mark = capital || t[i] == 'n' ? any_apostrophe(t, i + 1) : 0; mark > 0)
    if (const size_t end = run(t, i + 1 + mark, is_letter); end >= i + 3 + mark)
      longest = std::max(longest, end - i);
  if (const size_t mark = t.has(i, U"o") ? any_apostrophe(t, i + 1) : 0;
      mark > 0 && t.has(i + 1 + mark, U"o"))
    longest = std::max(longest, 2 + mark);
  return token(longest);
}

Found y_before_word(const Line& t, size_t i) {
  const size_t mark = t.has(i, U"y") ? apostrophe(t, i + 1) : 0;
  return mark > 0 && is_letter(t[i + 1 + mark]) ? token_before(1 + mark, 1) : Found{};
}

Found auxiliary_token(const Line& t, size_t i) {
  const size_t length = auxiliary(t, i);
  const bool ends = length > 0 && t[i + length] != kEnd && !is_ascii_letter(t[i + length]);
  return ends ? token_before(length, 1) : Found{};
}

Found not_token(const Line& t, size_t i) {
  const size_t mark = t.has(i, U"n") ? any_apostrophe(t, i + 1) : 0;
  return mark > 0 && t.has(i + 1 + mark, U"t") ? token(2 + mark) : Found{};
}

Found bare_auxiliary(const Line& t, size_t i) { return token(auxiliary(t, i)); }

Found treebank_word(const Line& t, size_t i) {
  for (const std::u32string_view w : {U"-rrb-", U"-lrb-", U"-rcb-", U"-lcb-", U"-rsb-", U"-lsb-", U"c.d.s",
                                      U"pro-", U"anti-", U"s&p-500", U"s&amp;p-500", U"s&ls", U"s&amp;ls"})
    if (t.has(i, w)) return token(w.size());
  if (const size_t mark = t.has(i, U"cap") ? apostrophe(t, i + 3) : 0; mark > 0 && t.has(i + 3 + mark, U"n"))
    return token(4 + mark);
  if (const size_t mark = t.has(i, U"c") ? apostrophe(t, i + 1) : 0; mark > 0 && t.has(i + 1 + mark, U"est"))
    return token(4 + mark);
  return {};
}

Found year_before_blank(const Line& t, size_t i) {
  const size_t mark = apostrophe(t, i), end = i + mark + 2;
  const bool year = mark > 0 && is_ascii_digit(t[i + mark]) && is_ascii_digit(t[i + mark + 1]);
  return year && (is_blank(t[end]) || is_newline(t[end])) ? token_before(mark + 2, 1) : Found{};
}

Found word_before_stop(const Line& t, size_t i) { return with_stop(t, i, word(t, i)); }
Found hyphenated(const Line& t, size_t i) { return token(hyphenated_length(t, i)); }
Found hyphenated_before_stop(const Line& t, size_t i) { return with_stop(t, i, hyphenated_length(t, i)); }
Found compound(const Line& t, size_t i) { return token(compound_length(t, i)); }
Found compound_before_stop(const Line& t, size_t i) { return with_stop(t, i, compound_length(t, i)); }
Found joined_capitals(const Line& t, size_t i) { return token(joined_capitals_length(t, i)); }
Found joined_capitals_before_stop(const Line& t, size_t i) {
  return with_stop(t, i, joined_capitals_length(t, i));
}

Found with_slashes(const Line& t, size_t i) {
  size_t length = between_slashes(t, i), slashes = 0;
  for (; length > 0 && slashes < 2; ++slashes) {
    const size_t slash = t[i + length] == '/' ? 1 : t[i + length] == '\\' && t[i + length + 1] == '/' ? 2 : 0;
    const size_t next = slash > 0 ? between_slashes(t, i + length + slash) : 0;
    if (next == 0) break;
    length += slash + next;
  }
  return slashes > 0 ? token(length) : Found{};
}

}  // namespace gmail::ptb
