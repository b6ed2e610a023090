// What METEOR 1.5 makes of a line before it compares words: its normaliser for English (Moses's rules for
// punctuation, with quotes and dashes unified, hyphens inside words and the dots of acronyms removed) and its
// function words.
#pragma once

#include <string_view>

#include "eval/caption_metrics.h"

namespace gmail {

// A line in lower case -> words; bytes that are not UTF-8 count as U+FFFD.
//   "a man's half-eaten u.s. pizza... 1,000 dogs" -> a man 's half eaten us pizza ... 1,000 dogs
[[nodiscard]] Words meteor_words(std::string_view line);

// The 90 or so words and signs that are frequent in any English text; they count less than content words.
[[nodiscard]] bool is_function_word(std::string_view word);

}  // namespace gmail
