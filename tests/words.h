// Captions in tests are written as lines of words.
#pragma once

#include <string_view>

#include "eval/caption_metrics.h"

namespace gmail::test {

// "a b  c" -> {"a", "b", "c"}: splits at white space and does nothing else
[[nodiscard]] inline Words caption_words(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  Words words;
  for (size_t begin = text.find_first_not_of(kSpace); begin != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSpace, begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpace, end);
  }
  return words;
}

}  // namespace gmail::test
