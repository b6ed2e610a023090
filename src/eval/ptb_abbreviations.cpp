// Abbreviations: which full stop belongs to a word, which ends the sentence, which does both.
#include <algorithm>
#include <array>
#include <span>

#include "eval/ptb_forms.h"

namespace gmail::ptb {
namespace {

// Before a small letter they go on, before a capital they end the sentence as well: "etc. The" has two stops.
constexpr auto kUsuallyInside = std::to_array<std::u32string_view>(
    {U"al",    U"ala",  U"apr",  U"ariz", U"assn", U"aug", U"bancorp", U"bhd",  U"bldg", U"blvd", U"bros",
     U"calif", U"co",   U"colo", U"conn", U"corp", U"cos", U"ct",      U"dak",  U"dec",  U"ed.d", U"esq",
     U"est",   U"etc",  U"ext",  U"feb",  U"fla",  U"fri", U"ga",      U"inc",  U"ind",  U"intl", U"jan",
     U"jr",    U"jul",  U"jun",  U"kan",  U"kans", U"ky",  U"ltd",     U"mar",  U"md",   U"mich", U"minn",
     U"mo",    U"mon",  U"mont", U"neb",  U"nev",  U"nov", U"oct",     U"okla", U"penn", U"ph.d", U"plc",
     U"rd",    U"rt",   U"sep",  U"sept", U"seq",  U"sq",  U"sys",     U"tel",  U"tenn", U"thu",  U"thurs",
     U"tue",   U"tues", U"univ", U"va",   U"vt",   U"wed", U"wis",     U"wisc", U"wyo"});
// of those the ones that are words too, and count only with a capital
constexpr auto kUsuallyInsideCapital = std::to_array<std::u32string_view>(
    {U"ark", U"az", U"del", U"ill", U"la", U"mass", U"miss", U"ore", U"pa", U"tex", U"wash"});
// "Pty." and its like, in any case but for the last letters
constexpr auto kProprietary = std::to_array<std::u32string_view>(
    {U"pte", U"ptes", U"ppte", U"pptes", U"pty", U"ptys", U"ppty", U"pptys"});

// Usually before a name: their full stop never ends a sentence.
constexpr auto kBeforeNames = std::to_array<std::u32string_view>(
    {U"a.k.a", U"adj", U"adm",    U"adv",  U"alex",  U"asst",  U"assoc", U"atty",  U"attys", U"ave", U"brig",
     U"capt",  U"cf",  U"cie",    U"cmdr", U"col",   U"comdr", U"cpl",   U"dept",  U"det",   U"dr",  U"drs",
     U"elec",  U"ens", U"ft",     U"gen",  U"gov",   U"govs",  U"hon",   U"insp",  U"invt",  U"jos", U"lieut",
     U"lt",    U"maj", U"messrs", U"mlle", U"mme",   U"mr",    U"mrs",   U"ms",    U"msgr",  U"mt",  U"natl",
     U"pfc",   U"ph",  U"pres",   U"prof", U"profs", U"pvt",   U"rep",   U"reps",  U"rev",   U"sen", U"sens",
     U"sfc",   U"sgt", U"spc",    U"sr",   U"st",    U"ste",   U"supt",  U"supts", U"treas", U"vs",  U"wm"});

constexpr auto kBeforeNumbers = std::to_array<std::u32string_view>(
    {U"art", U"ca", U"fig", U"figs", U"no", U"nos", U"op", U"pp", U"prop"});

// Words after which "U.S." is seen to end a sentence.
constexpr auto kSentenceBeginnings = std::to_array<std::u32string_view>(
    {U"a",    U"about",   U"according", U"additionally", U"after", U"an",      U"as",   U"at",
     U"but",  U"earlier", U"he",        U"her",          U"here",  U"however", U"if",   U"in",
     U"it",   U"last",    U"many",      U"more",         U"mr.",   U"ms.",     U"now",  U"once",
     U"one",  U"other",   U"our",       U"she",          U"since", U"so",      U"some", U"such",
     U"that", U"the",     U"their",     U"then",         U"there", U"these",   U"they", U"this",
     U"we",   U"what",    U"when",      U"while",        U"yet",   U"you"});

[[nodiscard]] bool is_blank_or_newline(char32_t c) { return is_blank(c) || is_newline(c); }
[[nodiscard]] bool is_capital_ascii(char32_t c) { return c >= 'A' && c <= 'Z'; }

// One of `words` and a full stop; the characters of both, or 0.
[[nodiscard]] size_t one_of(const Line& t, size_t i, std::span<const std::u32string_view> words) {
  for (const std::u32string_view w : words)
    if (t[i + w.size()] == '.' && t.has(i, w)) return w.size() + 1;
  return 0;
}

// letters and a full stop: what all abbreviations begin with
[[nodiscard]] bool may_be_abbreviation(const Line& t, size_t i) {
  const auto letter = [](char32_t c) { return is_ascii_letter(plain_lower(c)); };
  const size_t end = run(t, i, letter);
  return end > i && t[end] == '.';
}

[[nodiscard]] size_t usually_inside(const Line& t, size_t i) {
  if (!may_be_abbreviation(t, i)) return 0;
  if (is_capital_ascii(t[i]))
    if (const size_t n = one_of(t, i, kUsuallyInsideCapital); n > 0) return n;
  if (const size_t n = one_of(t, i, kProprietary); n > 0) {
    const size_t letter = n - (t.has(i + n - 2, U"s") ? 3 : 2);
    if (t[i + letter] == 'e' || t[i + letter] == 'y') return n;
  }
  return one_of(t, i, kUsuallyInside);
}

[[nodiscard]] size_t before_name(const Line& t, size_t i) {
  if (!may_be_abbreviation(t, i)) return 0;
  if (t[i] == 'M' && t.has(i, U"miss.")) return 5;
  if (t.has(i, U"m") && is_one_of(t[i + 1], U"ft") && t.has(i + 2, U"g.")) return 4;
  return one_of(t, i, kBeforeNames);
}

[[nodiscard]] size_t joined_countries(const Line& t, size_t i) {
  for (const std::u32string_view w : {U"canada-u.s", U"sino-u.s", U"korean-u.s", U"eu-u.s", U"japan-u.s",
                                      U"non-u.s", U"u.s.-u.k", U"u.s.-u.s.s.r"})
    if (t.has(i, w)) return w.size();
  return 0;
}

// Initials or countries, with a full stop behind them.
[[nodiscard]] size_t acronym(const Line& t, size_t i) {
  const size_t countries = joined_countries(t, i);
  return countries > 0 && t[i + countries] == '.' ? countries + 1 : initials(t, i);
}

}  // namespace

size_t initials(const Line& t, size_t i) {
  if (!is_ascii_letter(t[i])) return 0;
  size_t end = i + 1;
  while (t[end] == '.' && is_ascii_letter(t[end + 1])) end += 2;
  if (t[end] == '.') return end + 1 - i;
  return end > i + 1 ? end - 1 - i : 0;
}

// "the U.S. He .." has two full stops. One letter alone gives its own away: "vitamin C" "." "It ..".
Found acronym_ending_sentence(const Line& t, size_t i) {
  const size_t length = acronym(t, i);
  if (length == 0 || !is_blank_or_newline(t[i + length])) return {};
  const size_t next = run(t, i + length, is_blank_or_newline);
  size_t after = tag(t, next);
  if (is_capital_ascii(t[next]))
    for (const std::u32string_view w : kSentenceBeginnings)
      if (t.has(next, w) && is_blank_or_newline(t[next + w.size()])) after = w.size();
  if (after == 0 || !is_blank_or_newline(t[next + after])) return {};
  return {length == 2 ? 1 : length, length - 1, next + after + 1 - i};
}

Found abbreviation_before_number(const Line& t, size_t i) {
  const size_t length = one_of(t, i, kBeforeNumbers);
  if (length == 0) return {};
  const size_t blank = is_blank_or_newline(t[i + length]) ? 1 : 0;
  return is_digit(t[i + length + blank]) ? token_before(length, blank + 1) : Found{};
}

Found company_before_limited(const Line& t, size_t i) {
  const bool pty = t.has(i, U"pt") && is_one_of(t[i + 2], U"eyEY") && t[i + 3] == '.';
  const size_t length = pty ? 4 : t.has(i, U"co.") ? 3 : 0;
  const bool limited = length > 0 && is_blank(t[i + length]) &&
                       (t.has(i + length + 1, U"ltd") || t.has(i + length + 1, U"lim"));
  return limited ? token_before(length, 4) : Found{};
}

Found abbreviation_ending_sentence(const Line& t, size_t i) {
  const size_t length = usually_inside(t, i), end = i + length;
  if (length == 0 || !is_blank_or_newline(t[end])) return {};
  if (const size_t markup = tag(t, end + 1); markup > 0) return {length, length - 1, length + 1 + markup};
  const bool ends = is_blank_or_newline(t[end + 1]) || is_capital(t[end + 1]);
  return ends ? Found{length, length - 1, length + 2} : Found{};
}

Found abbreviation_inside(const Line& t, size_t i) {
  const size_t length = usually_inside(t, i);
  return length > 0 && t[i + length] != kEnd && t[i + length + 1] != kEnd ? token_before(length, 2) : Found{};
}

// at the end of the file
Found abbreviation_at_end(const Line& t, size_t i) {
  const size_t length = usually_inside(t, i);
  return length > 0 ? Found{length, length - 1, length} : Found{};
}

Found countries_before_blank(const Line& t, size_t i) {
  const size_t length = joined_countries(t, i);
  return length > 0 && is_blank_or_newline(t[i + length]) ? token_before(length, 1) : Found{};
}

Found title(const Line& t, size_t i) { return token(std::max(before_name(t, i), acronym(t, i))); }

}  // namespace gmail::ptb
