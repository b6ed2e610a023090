#include "cli/class_prompts.h"

#include <algorithm>

#include "data/prompt_lists.h"
#include "eval/zero_shot.h"
#include "io/files.h"
#include "io/utf8.h"

namespace gmail::cli {
namespace {

constexpr std::string_view kHole = "{}";

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

// The non-empty parts between separators, each with its number from 1.
std::vector<TextLine> parts_of(std::string_view text, char separator) {
  std::vector<TextLine> parts;
  for (int64_t number = 1; !text.empty(); ++number) {
    const std::string_view part = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (std::string s = trimmed(part); !s.empty()) parts.push_back({std::move(s), number});
  }
  return parts;
}

// What a file holds of this kind: a line each, or a list in OpenAI's form.
std::vector<TextLine> read_names(const std::string& file, PromptList kind, const std::string& section) {
  const std::string text = read_text(file);
  if (section.empty() && !has_prompt_lists(text)) return read_lines(file);
  GMAIL_INPUT(find_bad_utf8(text) == std::string_view::npos, file, ": not valid UTF-8");
  std::vector<TextLine> items;
  for (std::string& item : read_prompt_list(text, file, kind, section)) items.push_back({std::move(item), 0});
  return items;
}

}  // namespace

std::vector<TextLine> read_lines(const std::filesystem::path& file) {
  std::vector<TextLine> lines = parts_of(read_text(file), '\n');
  GMAIL_INPUT(!lines.empty(), file.string(), ": no line with text");
  for (const TextLine& line : lines)
    GMAIL_INPUT(find_bad_utf8(line.text) == std::string_view::npos, file.string(), ":", line.number,
                ": not valid UTF-8");
  return lines;
}

std::vector<std::string> class_names(const std::string& file_or_list, const std::string& section) {
  const bool is_file = std::filesystem::is_regular_file(file_or_list);
  std::vector<std::string> names;
  for (const TextLine& line :
       is_file ? read_names(file_or_list, PromptList::classes, section) : parts_of(file_or_list, ',')) {
    GMAIL_INPUT(std::find(names.begin(), names.end(), line.text) == names.end(), file_or_list, ": class \"",
                line.text, "\" is given twice");
    names.push_back(line.text);
  }
  GMAIL_INPUT(!names.empty(), "--classes: expected a file or names with commas between them, found \"",
              file_or_list, "\"");
  return names;
}

std::vector<std::string> prompt_templates(const std::string& file, const std::string& section) {
  if (file.empty()) return {"a {}"};
  std::vector<std::string> templates;
  for (const TextLine& line : read_names(file, PromptList::templates, section)) {
    const std::string at = line.number > 0 ? concat(":", line.number) : "";
    GMAIL_INPUT(line.text.find(kHole) != std::string::npos, file, at,
                ": expected a template with {} for the class, found \"", line.text, "\"");
    templates.push_back(line.text);
  }
  return templates;
}

Tensor embed_classes(const Context& ctx, ClipModel& model, const std::vector<std::string>& names,
                     const std::vector<std::string>& templates) {
  std::vector<std::string> prompts;
  std::vector<int32_t> classes;
  for (size_t c = 0; c < names.size(); ++c)
    for (const std::string& t : templates) {
      std::string prompt = t;
      for (size_t at = 0; (at = prompt.find(kHole, at)) != std::string::npos; at += names[c].size())
        prompt.replace(at, kHole.size(), names[c]);
      prompts.push_back(std::move(prompt));
      classes.push_back(static_cast<int32_t>(c));
    }
  return class_weights(embed_texts(ctx, model, prompts), Tensor::from(classes, {std::ssize(classes)}),
                       std::ssize(names));
}

}  // namespace gmail::cli
