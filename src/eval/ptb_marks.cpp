// Punctuation, quotation marks, brackets, smileys, symbols.
#include <algorithm>

#include "eval/ptb_forms.h"

namespace gmail::ptb {
namespace {

[[nodiscard]] size_t double_mark(const Line& t, size_t i) {
  return t[i] == '"' ? 1 : t.has(i, U"&quot;") ? 6 : 0;
}

[[nodiscard]] size_t same(const Line& t, size_t i, char32_t mark) {
  return run(t, i, [&](char32_t c) { return c == mark; }) - i;
}

}  // namespace

Found dash_sign(const Line& t, size_t i) {
  for (const std::u32string_view w : {U"&md;", U"&mdash;", U"&ndash;"})
    if (t.has(i, w)) return token(w.size());
  return is_one_of(t[i], U"\u0096\u0097\u2013\u2014\u2015") ? token(1) : Found{};
}

Found ampersand_entity(const Line& t, size_t i) { return t.has(i, U"&amp;") ? token(5) : Found{}; }

Found punctuation_entity(const Line& t, size_t i) {
  for (const std::u32string_view w :
       {U"&ht;", U"&tl;", U"&ur;", U"&lr;", U"&qc;", U"&ql;", U"&qr;", U"&odq;", U"&cdq;"})
    if (t.has(i, w)) return token(w.size());
  const size_t end = t.has(i, U"&#") ? run(t, i + 2, is_ascii_digit) : i;
  return end > i + 2 && t[end] == ';' ? token(end + 1 - i) : Found{};
}

Found double_quote_before_word(const Line& t, size_t i) {
  const size_t length = double_mark(t, i);
  const bool before = length > 0 && (is_ascii_word(t[i + length]) || t[i + length] == '$');
  return before ? token_before(length, 1) : Found{};
}

Found double_quote(const Line& t, size_t i) { return token(double_mark(t, i)); }
Found less(const Line& t, size_t i) { return token(t[i] == '<' ? 1 : t.has(i, U"&lt;") ? 4 : 0); }
Found greater(const Line& t, size_t i) { return token(t[i] == '>' ? 1 : t.has(i, U"&gt;") ? 4 : 0); }

// :-) =D >:( and so on, not before a letter or digit
Found smiley(const Line& t, size_t i) {
  size_t at = i;
  if (is_one_of(t[at], U"<>")) ++at;
  if (!is_one_of(t[at], U":;=")) return {};
  if (is_one_of(t[++at], U"-o*'")) ++at;
  if (!is_one_of(t[at], U"()DPdpO\\{@|[]")) return {};
  const char32_t next = t[at + 1];
  return next != kEnd && !is_ascii_word(next) ? token_before(at + 1 - i, 1) : Found{};
}

// ^_^ (^.^) (>_<)
Found asian_smiley(const Line& t, size_t i) {
  constexpr std::u32string_view kEyes = U"-^x=~<>'";
  const auto eye = [&](size_t at) { return is_one_of(t[at], kEyes); };
  if (eye(i) && t[i + 1] == '_' && eye(i + 2)) return token(3);
  if (is_one_of(t[i], U"^x=~<>") && t.has(i + 1, U".[^x=~<>]")) return token(10);
  if (t[i] != '(' || !eye(i + 1)) return {};
  if (eye(i + 2) && t[i + 3] == ')') return token(4);
  const bool nose = is_one_of(t[i + 2], U"_.") && eye(i + 3);
  const bool flat = t[i + 1] != '-' && t[i + 2] == '-' && is_one_of(t[i + 3], U"^x=~<>'`");
  return (nose || flat) && t[i + 4] == ')' ? token(5) : Found{};
}

Found bracket(const Line& t, size_t i) { return is_one_of(t[i], U"()[]{}") ? token(1) : Found{}; }
Found hyphens(const Line& t, size_t i) { return token(same(t, i, '-')); }

// three to five full stops, or with blanks between them
Found ellipsis(const Line& t, size_t i) {
  if (t[i] == 0x85 || t[i] == 0x2026) return token(1);
  const size_t stops = same(t, i, '.');
  if (stops >= 3) return token(std::min(stops, size_t{5}));
  size_t spaced = stops > 0 ? 1 : 0;
  while (spaced > 0 && spaced < 5 && is_one_of(t[i + 2 * spaced - 1], U" \u00A0") && t[i + 2 * spaced] == '.')
    ++spaced;
  return spaced >= 3 ? token(2 * spaced - 1) : Found{};
}

Found repeated_mark(const Line& t, size_t i) {
  if (is_one_of(t[i], U"@#_*")) return token(same(t, i, t[i]));
  size_t escaped = 0;
  while (escaped < 3 && t.has(i + 2 * escaped, U"\\*")) ++escaped;
  return token(2 * escaped);
}

Found stop(const Line& t, size_t i) {
  if (is_one_of(t[i], U"?!")) return token(run(t, i, [](char32_t c) { return is_one_of(c, U"?!"); }) - i);
  return is_one_of(t[i], U",;:.=/") ? token(1) : Found{};
}

// 'a word'
Found quote_before_word(const Line& t, size_t i) {
  if (t[i] != '\'' || !is_ascii_letter(t[i + 1])) return {};
  return t[i + 2] != kEnd && !is_one_of(t[i + 2], U" \t\n\r\u00A0") ? token_before(1, 2) : Found{};
}

Found quotes(const Line& t, size_t i) {
  const auto quote = [&](size_t at) {
    return is_one_of(t[at],
                     U"`\u2018\u2019\u201A\u201B\u201C\u201D\u0091\u0092\u0093\u0094\u201E\u201F\u2039"
                     U"\u203A\u00AB\u00BB");
  };
  if (quote(i)) return token(quote(i + 1) ? 2 : 1);
  return token(t.has(i, U"''") ? 2 : apostrophe(t, i));
}

Found duck_feet(const Line& t, size_t i) { return t.has(i, U"<<") || t.has(i, U">>") ? token(2) : Found{}; }
Found symbol(const Line& t, size_t i) { return is_symbol(t[i]) ? token(1) : Found{}; }
Found no_break_blank(const Line& t, size_t i) { return t.has(i, U"&nbsp;") ? token(6) : Found{}; }
Found blanks(const Line& t, size_t i) { return token(run(t, i, is_blank) - i); }

}  // namespace gmail::ptb
