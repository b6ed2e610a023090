// The forms that a Penn Treebank token can have. Each function says whether its form stands at place i of the
// line, always in its longest extent. Internal to ptb_tokenizer.cpp.
#pragma once

#include "eval/ptb_line.h"

namespace gmail::ptb {

struct Found {
  size_t text = 0;  // characters of the token
  size_t used = 0;  // after which the scan goes on; fewer than `text` where a full stop counts twice
  size_t seen = 0;  // with what has to follow; 0: the form is not here
};
using Form = Found (*)(const Line&, size_t i);

[[nodiscard]] inline Found token(size_t n) { return {n, n, n}; }
[[nodiscard]] inline Found token_before(size_t n, size_t context) { return {n, n, n + context}; }

// pieces: the characters that they take at i, 0 if they are not here
[[nodiscard]] size_t letters(const Line& t, size_t i);
[[nodiscard]] size_t word(const Line& t, size_t i);  // letters, digits after them, and . ! ? between such
[[nodiscard]] size_t apostrophe(const Line& t, size_t i);      // ' U+2019 U+0092 &apos;
[[nodiscard]] size_t any_apostrophe(const Line& t, size_t i);  // and those that open a quotation
[[nodiscard]] size_t auxiliary(const Line& t, size_t i);       // 's 'm 'd 're 've 'll
[[nodiscard]] size_t initials(const Line& t, size_t i);        // a. u.s. with the last full stop
[[nodiscard]] size_t tag(const Line& t, size_t i);             // <a href="x">

// ptb_words.cpp: words and contractions
Found run_together(const Line& t, size_t i);           // can|not, 't|was, gon|na, ..
Found word_before_auxiliary(const Line& t, size_t i);  // he|'s
Found verb_before_not(const Line& t, size_t i);        // do|n't
Found plain_word(const Line& t, size_t i);
Found word_with_apostrophe(const Line& t, size_t i);  // 'em, o'er, l', '90s
Found y_before_word(const Line& t, size_t i);         // y'|all
Found auxiliary_token(const Line& t, size_t i);       // 's, not before a letter
Found not_token(const Line& t, size_t i);             // n't
Found bare_auxiliary(const Line& t, size_t i);
Found treebank_word(const Line& t, size_t i);      // S&P-500, cap'n, pro-
Found year_before_blank(const Line& t, size_t i);  // '05
Found word_before_stop(const Line& t, size_t i);   // "etc.,"
Found hyphenated(const Line& t, size_t i);         // 1.5-x
Found hyphenated_before_stop(const Line& t, size_t i);
Found compound(const Line& t, size_t i);  // mid-90s, o'malley
Found compound_before_stop(const Line& t, size_t i);
Found joined_capitals(const Line& t, size_t i);  // AT&T
Found joined_capitals_before_stop(const Line& t, size_t i);
Found with_slashes(const Line& t, size_t i);  // and/or

// ptb_abbreviations.cpp
Found acronym_ending_sentence(const Line& t, size_t i);
Found abbreviation_before_number(const Line& t, size_t i);
Found company_before_limited(const Line& t, size_t i);
Found abbreviation_ending_sentence(const Line& t, size_t i);
Found abbreviation_inside(const Line& t, size_t i);
Found abbreviation_at_end(const Line& t, size_t i);
Found countries_before_blank(const Line& t, size_t i);  // Japan-U.S
Found title(const Line& t, size_t i);

// ptb_numbers.cpp
Found date(const Line& t, size_t i);
Found number(const Line& t, size_t i);
Found raised_number(const Line& t, size_t i);
Found fraction(const Line& t, size_t i);
Found fraction_sign(const Line& t, size_t i);
Found dollar(const Line& t, size_t i);
Found currency(const Line& t, size_t i);
Found phone(const Line& t, size_t i);

// ptb_addresses.cpp
Found tag_token(const Line& t, size_t i);
Found full_address(const Line& t, size_t i);
Found likely_address(const Line& t, size_t i);
Found mail_address(const Line& t, size_t i);
Found handle(const Line& t, size_t i);  // @name, #word
Found file_name(const Line& t, size_t i);
Found language(const Line& t, size_t i);  // c++, c#, f#

// ptb_marks.cpp
Found dash_sign(const Line& t, size_t i);
Found ampersand_entity(const Line& t, size_t i);
Found punctuation_entity(const Line& t, size_t i);
Found double_quote_before_word(const Line& t, size_t i);
Found double_quote(const Line& t, size_t i);
Found less(const Line& t, size_t i);
Found greater(const Line& t, size_t i);
Found smiley(const Line& t, size_t i);
Found asian_smiley(const Line& t, size_t i);
Found bracket(const Line& t, size_t i);
Found hyphens(const Line& t, size_t i);
Found ellipsis(const Line& t, size_t i);
Found repeated_mark(const Line& t, size_t i);  // @@ ## __ **
Found stop(const Line& t, size_t i);           // , ; : ?! . = /
Found quote_before_word(const Line& t, size_t i);
Found quotes(const Line& t, size_t i);
Found duck_feet(const Line& t, size_t i);  // << >>
Found symbol(const Line& t, size_t i);
Found no_break_blank(const Line& t, size_t i);  // &nbsp;
Found blanks(const Line& t, size_t i);

}  // namespace gmail::ptb
