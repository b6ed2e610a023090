// Class names and prompt templates as OpenAI publishes them [openai/CLIP: data/prompts.md and its notebooks]:
// Python lists of strings under the names classes and templates, or names that end so, in any text:
//   ## Food101
//   classes = ['apple pie', "men's shoes", ...]     templates = ['a photo of {}, a type of food.']
// Lines that begin with ## head the sections of such a file, one a data set.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gmail {

enum class PromptList { classes, templates };

// Does the text hold a list of either kind?
[[nodiscard]] bool has_prompt_lists(std::string_view text);

// The one list of this kind in the section, or in all of the text for "". InputError, naming `file` and the
// line: there is none or more than one, or it is not a list of strings in quotes.
[[nodiscard]] std::vector<std::string> read_prompt_list(std::string_view text, const std::string& file,
                                                        PromptList kind, const std::string& section);

}  // namespace gmail
