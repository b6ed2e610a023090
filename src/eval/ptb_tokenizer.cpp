#include "eval/ptb_tokenizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "core/check.h"
#include "eval/ptb_forms.h"
#include "io/utf8.h"

namespace gmail {
namespace {

using namespace ptb;
using Text = std::u32string;

constexpr size_t kLookAhead = 64;  // bytes of the next lines that are looked at

// How a form is written as a token, before it is put into lower case.

void replace_all(Text& text, std::u32string_view from, std::u32string_view to) {
  for (size_t at = text.find(from); at != Text::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

void as_it_is(Text& /*text*/) {}

void without_soft_hyphens(Text& text) {
  std::erase(text, U'\u00AD');
  if (text.empty()) text = U"-";
}

void with_fixed_blanks(Text& text) {
  std::replace_if(
      text.begin(), text.end(), [](char32_t c) { return is_one_of(c, U" \r\n"); }, U'\u00A0');
}

void with_brackets(Text& text) {
  constexpr std::array<std::array<const char32_t*, 2>, 6> kNames = {{{U"(", U"-LRB-"},
                                                                     {U")", U"-RRB-"},
                                                                     {U"[", U"-LSB-"},
                                                                     {U"]", U"-RSB-"},
                                                                     {U"{", U"-LCB-"},
                                                                     {U"}", U"-RCB-"}}};
  for (const auto& [sign, name] : kNames) replace_all(text, sign, name);
}
void in_round_brackets(Text& text) {
  replace_all(text, U"(", U"-LRB-");
  replace_all(text, U")", U"-RRB-");
}
void as_phone(Text& text) {
  with_fixed_blanks(text);
  in_round_brackets(text);
}

void as_dash(Text& text) { text = U"--"; }
void as_hyphens(Text& text) {
  if (text.size() == 3 || text.size() == 4) text = U"--";
}
void as_ellipsis(Text& text) { text = U"..."; }
void as_less(Text& text) { text = U"<"; }
void as_greater(Text& text) { text = U">"; }
void with_ampersand(Text& text) {
  for (size_t at = text.find('&'); at != Text::npos; at = text.find('&', at + 1))
    if (text.size() - at >= 5 && text[at + 4] == ';') text.erase(at + 1, 4);
}

void as_money(Text& text) {
  replace_all(text, U"\u00A2", U"cents");
  replace_all(text, U"\u00A3", U"#");  // the pound sign of old terminals
  std::replace_if(
      text.begin(), text.end(), [](char32_t c) { return is_one_of(c, U"\u0080\u00A4\u20A0\u20AC"); }, U'$');
}

void as_fraction(Text& text) {
  replace_all(text, U"\u00BC", U"1/4");
  replace_all(text, U"\u00BD", U"1/2");
  replace_all(text, U"\u00BE", U"3/4");
  replace_all(text, U"\u2153", U"1/3");
  replace_all(text, U"\u2154", U"2/3");
}

// TeX's quotation marks, `` and ''
void with_quotes(Text& text, std::u32string_view one, std::u32string_view two) {
  replace_all(text, U"&apos;", U"'");
  replace_all(text, U"&quot;", U"\"");
  replace_all(text, U"'", one);
  replace_all(text, U"\"", two);
  Text out;
  for (const char32_t c : text) {
    if (is_one_of(c, U"\u0091\u2018\u201B\u2039"))
      out += U"`";
    else if (is_one_of(c, U"\u0092\u2019\u203A"))
      out += U"'";
    else if (is_one_of(c, U"\u0093\u201C\u00AB"))
      out += U"``";
    else if (is_one_of(c, U"\u0094\u201D\u00BB"))
      out += U"''";
    else
      out += c;
  }
  text = out;
}
void as_left_quotes(Text& text) { with_quotes(text, U"`", U"``"); }
void as_right_quotes(Text& text) { with_quotes(text, U"'", U"''"); }

struct Rule {
  Form form;
  void (*write)(Text&);  // nullptr: no token
};

// Of equally long forms the first counts.
constexpr std::array kRules = {
    Rule{language, as_it_is},
    Rule{run_together, as_it_is},
    Rule{tag_token, with_fixed_blanks},
    Rule{dash_sign, as_dash},
    Rule{ampersand_entity, with_ampersand},
    Rule{punctuation_entity, as_it_is},
    Rule{word_before_auxiliary, without_soft_hyphens},
    Rule{verb_before_not, without_soft_hyphens},
    Rule{plain_word, without_soft_hyphens},
    Rule{word_with_apostrophe, as_it_is},
    Rule{y_before_word, as_it_is},
    Rule{full_address, as_it_is},
    Rule{likely_address, as_it_is},
    Rule{mail_address, as_it_is},
    Rule{handle, as_it_is},
    Rule{auxiliary_token, as_right_quotes},
    Rule{not_token, as_right_quotes},
    Rule{date, as_it_is},
    Rule{number, without_soft_hyphens},
    Rule{raised_number, as_it_is},
    Rule{fraction, with_fixed_blanks},
    Rule{fraction_sign, as_fraction},
    Rule{treebank_word, with_ampersand},
    Rule{with_slashes, as_it_is},
    Rule{dollar, as_it_is},
    Rule{currency, as_money},
    Rule{acronym_ending_sentence, as_it_is},
    Rule{abbreviation_before_number, as_it_is},
    Rule{company_before_limited, as_it_is},
    Rule{abbreviation_ending_sentence, as_it_is},
    Rule{abbreviation_inside, as_it_is},
    Rule{abbreviation_at_end, as_it_is},
    Rule{title, as_it_is},
    Rule{countries_before_blank, as_it_is},
    Rule{year_before_blank, as_it_is},
    Rule{file_name, as_it_is},
    Rule{word_before_stop, without_soft_hyphens},
    Rule{phone, as_phone},
    Rule{double_quote_before_word, as_left_quotes},
    Rule{double_quote, as_right_quotes},
    Rule{less, as_less},
    Rule{greater, as_greater},
    Rule{smiley, in_round_brackets},
    Rule{asian_smiley, in_round_brackets},
    Rule{bracket, with_brackets},
    Rule{hyphens, as_hyphens},
    Rule{ellipsis, as_ellipsis},
    Rule{repeated_mark, as_it_is},
    Rule{stop, as_it_is},
    Rule{hyphenated_before_stop, without_soft_hyphens},
    Rule{hyphenated, without_soft_hyphens},
    Rule{compound_before_stop, as_it_is},
    Rule{compound, as_it_is},
    Rule{joined_capitals_before_stop, with_ampersand},
    Rule{joined_capitals, with_ampersand},
    Rule{quote_before_word, as_left_quotes},
    Rule{bare_auxiliary, as_right_quotes},
    Rule{quotes, as_right_quotes},
    Rule{duck_feet, as_it_is},
    Rule{symbol, as_it_is},
    Rule{no_break_blank, nullptr},
    Rule{blanks, nullptr},
};

[[nodiscard]] int32_t lower_code(char32_t c) { return utf8proc_tolower(static_cast<utf8proc_int32_t>(c)); }

// sigma at the end: behind cased letters, before none
[[nodiscard]] bool is_final_sigma(const Text& text, size_t i) {
  const auto at = text.begin() + static_cast<std::ptrdiff_t>(i);
  return text[i] == 0x3A3 && std::any_of(text.begin(), at, is_cased) &&
         std::none_of(at + 1, text.end(), is_cased);
}

// As Java does it: one to one but for the dotted I and the sigma that ends a word.
[[nodiscard]] std::string lower(const Text& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c < 0x80)
      out += static_cast<char>(plain_lower(c));
    else if (c == 0x130)
      out += "i\u0307";
    else if (c >= 0xD800 && c <= 0xDBFF && i + 1 < text.size())
      append_code_point(out, lower_code(0x10000 + ((c - 0xD800) << 10U) + (text[++i] - 0xDC00)));
    else
      append_code_point(out, is_final_sigma(text, i) ? 0x3C2 : lower_code(c));
  }
  return out;
}

// A word of ASCII letters before a blank can be nothing else.
[[nodiscard]] size_t easy_word(const Line& t, size_t i) {
  const size_t end = run(t, i, is_ascii_letter);
  return end > i && t[end] == ' ' && run_together(t, i).seen == 0 ? end - i : 0;
}

// What stands at i, and how it is written: nullptr if it is no token.
[[nodiscard]] std::pair<Found, void (*)(Text&)> longest_form(const Line& t, size_t i) {
  if (const size_t length = easy_word(t, i); length > 0) return {token(length), as_it_is};
  Found best;
  void (*write)(Text&) = nullptr;
  for (const Rule& rule : kRules)
    if (const Found found = rule.form(t, i); found.seen > best.seen) {
      best = found;
      write = rule.write;
    }
  return {best, write};
}

[[nodiscard]] bool dropped(std::string_view token) {
  constexpr std::array<std::string_view, 17> kDropped = {"''",    "'",     "``", "`",   "-LRB-", "-RRB-",
                                                         "-LCB-", "-RCB-", ".",  "?",   "!",     ",",
                                                         ":",     "-",     "--", "...", ";"};
  return std::find(kDropped.begin(), kDropped.end(), token) != kDropped.end();
}

}  // namespace

std::vector<std::string> ptb_tokens(std::string_view caption, std::optional<std::string_view> next_lines) {
  const Line line(caption, next_lines ? concat("\n", next_lines->substr(0, kLookAhead)) : "");
  std::vector<std::string> tokens;
  for (size_t i = 0; i < line.size();) {
    if (line[i] == ' ') {  // begins no token
      i = run(line, i, is_blank);
      continue;
    }
    const auto [found, write] = longest_form(line, i);
    if (write != nullptr) {
      Text text(line.part(i, found.text));
      write(text);
      tokens.push_back(lower(text));
    }
    i += std::max(found.used, size_t{1});
  }
  return tokens;
}

Words caption_tokens(std::string_view caption, std::optional<std::string_view> next_lines) {
  Words tokens = ptb_tokens(caption, next_lines);
  std::erase_if(tokens, dropped);
  return tokens;
}

std::vector<Words> caption_tokens_of_lines(const std::vector<std::string>& captions) {
  std::vector<Words> all;
  for (size_t i = 0; i < captions.size(); ++i) {
    if (i + 1 == captions.size()) {
      all.push_back(caption_tokens(captions[i]));
      break;
    }
    std::string next;
    for (size_t k = i + 1; k < captions.size() && next.size() < kLookAhead; ++k) {
      std::string line = captions[k].substr(0, kLookAhead);
      std::replace(line.begin(), line.end(), '\n', ' ');
      next += line;
      if (k + 1 < captions.size()) next += '\n';
    }
    all.push_back(caption_tokens(captions[i], next));
  }
  return all;
}

}  // namespace gmail
