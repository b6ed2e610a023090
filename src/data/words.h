// From text to words, before byte-pair encoding: as CLIP does it [openai/CLIP: clip/simple_tokenizer.py] and
// as GPT-2 does it [openai/gpt-2: src/encoder.py]. Letters, numbers and white space are Unicode's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gmail {

constexpr std::string_view kStartOfText = "<|startoftext|>", kEndOfText = "<|endoftext|>";

// CLIP's cleaning: bytes that are not UTF-8 become U+FFFD; repaired (data/repair.h); HTML references resolved
// twice; runs of white space become one blank, none at the ends; lower case as Python's str.lower().
[[nodiscard]] std::string clean_text(std::string_view text);

// Cleaned text by CLIP's pattern
//   start | end | 's | 't | 're | 've | 'm | 'll | 'd | letters+ | one number | anything else+
// where blanks only separate; start and end are as the vocabulary spells them. Views into `cleaned`.
[[nodiscard]] std::vector<std::string_view> split_words(std::string_view cleaned,
                                                        std::string_view start = kStartOfText,
                                                        std::string_view end = kEndOfText);

// Text by GPT-2's pattern
//   's | 't | 're | 've | 'm | 'll | 'd | ?letters+ | ?numbers+ | ?anything else+ | white space+
// where "?" is a blank that belongs to what follows, and white space before a word leaves it its last one.
// All of `text` is in a word; it is UTF-8.
[[nodiscard]] std::vector<std::string_view> split_gpt2_words(std::string_view text);

}  // namespace gmail
