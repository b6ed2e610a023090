// Classes by name, and the sentences by which a text tower hears of them.
#pragma once

#include "gmail/clip_flow.h"

namespace gmail::cli {

// The lines of a text file, trimmed, without the empty ones. InputError if there are none, or not UTF-8.
struct TextLine {
  std::string text;
  int64_t number;
};
[[nodiscard]] std::vector<TextLine> read_lines(const std::filesystem::path& file);

// A file with a class on each line, or with a list "classes = [..]" in OpenAI's form (data/prompt_lists.h;
// perhaps in the section named), or else the classes themselves: "red ball,blue cube". No class twice.
[[nodiscard]] std::vector<std::string> class_names(const std::string& file_or_list,
                                                   const std::string& section = "");
// A file of templates, one a line, where {} stands for the class, or with a list "templates = [..]"; "" gives
// {"a {}"}.
[[nodiscard]] std::vector<std::string> prompt_templates(const std::string& file,
                                                        const std::string& section = "");

// Class embeddings (classes, E) of unit length, eq. (1) of eval/zero_shot.h.
[[nodiscard]] Tensor embed_classes(const Context& ctx, ClipModel& model,
                                   const std::vector<std::string>& names,
                                   const std::vector<std::string>& templates);

}  // namespace gmail::cli
