// From text to words, as CLIP does it before byte-pair encoding [openai/CLIP: clip/simple_tokenizer.py].
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gmail {

constexpr std::string_view kStartOfText = "<|startoftext|>", kEndOfText = "<|endoftext|>";

// Bytes that are not UTF-8 become U+FFFD; runs of white space become one blank, none at the ends; lower case.
[[nodiscard]] std::string clean_text(std::string_view text);

// Cleaned text by the pattern
//   <|startoftext|> | <|endoftext|> | 's | 't | 're | 've | 'm | 'll | 'd | letters+ | one number | anything
//   else+
// where blanks only separate. The views point into `cleaned`.
[[nodiscard]] std::vector<std::string_view> split_words(std::string_view cleaned);

}  // namespace gmail
