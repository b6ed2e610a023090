// Words of a caption as the field's caption scores count them: Stanford's Penn Treebank tokenizer (CoreNLP
// 3.4.1, edu.stanford.nlp.process.PTBTokenizer -preserveLines -lowerCase), then without punctuation
// [tylin/coco-caption: pycocoevalcap/tokenizer]. The scanner is ours: at each place the longest form that
// fits is taken, of two equally long ones the one that stands first in ptb_tokenizer.cpp.
//
// The reference tool writes all captions into one file, a line each, and sees past the end of a line: whether
// "vitamin C." keeps its full stop hangs on the first word of the next caption. caption_tokens_of_lines does
// as the tool does; for a caption by itself it is the end of the file that follows.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/caption_metrics.h"

namespace gmail {

// All tokens, lower case: "Don't (ever)" -> do n't -lrb- ever -rrb-. Newlines inside a caption count as
// blanks; bytes that are not UTF-8 separate and are dropped. Time is linear in the length. `next_lines`: what
// the file holds after the caption's line. A few tokens hold a no-break space: "2 1/2", "555 555 1234".
[[nodiscard]] std::vector<std::string> ptb_tokens(std::string_view caption,
                                                  std::optional<std::string_view> next_lines = {});

// Without what coco-caption drops: '' ' `` ` . ? ! , : - -- ... ; (and -LRB-, -RRB-, -LCB-, -RCB-, which
// never occur: brackets arrive in lower case and stay).
[[nodiscard]] Words caption_tokens(std::string_view caption, std::optional<std::string_view> next_lines = {});

// Each caption as a line of one file, in this order; the last line without a newline.
[[nodiscard]] std::vector<Words> caption_tokens_of_lines(const std::vector<std::string>& captions);

}  // namespace gmail
