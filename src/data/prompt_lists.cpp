#include "data/prompt_lists.h"

#include <algorithm>
#include <cctype>

#include "core/check.h"

namespace gmail {
namespace {

constexpr std::string_view name_of(PromptList kind) {
  return kind == PromptList::classes ? "classes" : "templates";
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// Where the list begins, after its bracket, in a line "my_classes = [..", or npos.
size_t list_at(std::string_view line, PromptList kind) {
  size_t end = line.find_first_not_of(" \t");
  const size_t begin = end;
  while (end < line.size() && (std::isalnum(static_cast<unsigned char>(line[end])) != 0 || line[end] == '_'))
    ++end;
  if (begin == std::string_view::npos || !line.substr(begin, end - begin).ends_with(name_of(kind)))
    return std::string_view::npos;
  for (const char expected : {'=', '['}) {
    end = line.find_first_not_of(" \t", end);
    if (end == std::string_view::npos || line[end] != expected) return std::string_view::npos;
    ++end;
  }
  return end;
}

struct Place {
  std::string section;
  size_t at;  // of the text, after the bracket
};

std::vector<Place> find_lists(std::string_view text, PromptList kind) {
  std::vector<Place> found;
  std::string section;
  for (size_t begin = 0; begin < text.size();) {
    const std::string_view line = text.substr(begin, text.find('\n', begin) - begin);
    if (line.starts_with("## ")) section = trimmed(line.substr(3));
    if (const size_t at = list_at(line, kind); at != std::string_view::npos)
      found.push_back({section, begin + at});
    begin += line.size() + 1;
  }
  return found;
}

// Python's list of string literals, from after its bracket.
class ListReader {
 public:
  ListReader(std::string_view text, size_t at, const std::string& file) : text_(text), at_(at), file_(file) {}

  std::vector<std::string> read() {
    std::vector<std::string> items;
    for (bool comma = true; peek() != ']';) {
      if (peek() == ',' && !comma) {
        comma = true, ++at_;
        continue;
      }
      if (peek() != '\'' && peek() != '"') wrong("a string in quotes");
      if (!comma) wrong("a comma");  // Python would join the two: a comma forgotten
      items.push_back(literal());
      comma = false;
    }
    return items;
  }

 private:
  // the next character that is neither blank nor in a comment
  char peek() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#')
        at_ = std::min(text_.find('\n', at_), text_.size());
      else if (std::string_view(" \t\r\n").find(text_[at_]) == std::string_view::npos)
        return text_[at_];
      else
        ++at_;
    }
    wrong("], the end of the list");
  }

  std::string literal() {
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n') {
      if (text_[at_] == '\\') {
        const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : ' ';
        if (next != '\\' && next != '\'' && next != '"') wrong("\\\\, \\' or \\\"");
        ++at_;
      }
      out += text_[at_++];
    }
    if (at_ >= text_.size() || text_[at_] != quote) wrong("the end of the string");
    ++at_;
    if (trimmed(out).empty()) wrong("a string with text");
    return out;
  }

  [[noreturn]] void wrong(std::string_view expected) const {
    const auto end = text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size()));
    const std::string_view rest = trimmed(text_.substr(std::min(at_, text_.size()), 20));
    throw InputError(concat(file_, ":", 1 + std::count(text_.begin(), end, '\n'), ": expected ", expected,
                            ", found ",
                            rest.empty() ? "the end" : concat("\"", rest.substr(0, rest.find('\n')), "\"")));
  }

  std::string_view text_;
  size_t at_;
  const std::string& file_;
};

}  // namespace

bool has_prompt_lists(std::string_view text) {
  return !find_lists(text, PromptList::classes).empty() || !find_lists(text, PromptList::templates).empty();
}

std::vector<std::string> read_prompt_list(std::string_view text, const std::string& file, PromptList kind,
                                          const std::string& section) {
  std::vector<Place> found = find_lists(text, kind);
  std::string sections;
  for (const Place& p : found)
    if (!p.section.empty()) sections += (sections.empty() ? "" : ", ") + p.section;
  if (!section.empty()) std::erase_if(found, [&](const Place& p) { return p.section != section; });
  const std::string where = section.empty() ? file : concat(file, ", section \"", section, "\"");
  const std::string known = sections.empty() ? "" : concat("; the sections are ", sections);
  GMAIL_INPUT(!found.empty(), where, ": no list \"", name_of(kind), " = [..]\"", known);
  GMAIL_INPUT(found.size() == 1, where, ": ", found.size(), " lists \"", name_of(kind),
              " = [..]\", expected one: name the section", known);
  std::vector<std::string> items = ListReader(text, found.front().at, file).read();
  GMAIL_INPUT(!items.empty(), where, ": the list \"", name_of(kind), " = [..]\" is empty");
  return items;
}

}  // namespace gmail
