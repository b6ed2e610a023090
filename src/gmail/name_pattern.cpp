#include "gmail/name_pattern.h"

#include <regex.h>

#include <cctype>
#include <string_view>

#include "core/check.h"

namespace gmail {
namespace {

// Python's spelling in that of POSIX's extended regular expressions.
class Translation {
 public:
  Translation(const std::string& pattern, const std::string& where) : in_(pattern), where_(where) {
    check(in_.size() <= 512, "is too long");
    for (at_ = 0; at_ < in_.size(); ++at_) next();
    check(!in_class_, "has no ] for its [");
  }
  [[nodiscard]] const std::string& text() const { return out_; }

 private:
  void check(bool condition, const char* what) const {
    GMAIL_INPUT(condition, where_, ": the pattern \"", in_.substr(0, 80), "\" ", what);
  }
  [[nodiscard]] char peek() const { return at_ + 1 < in_.size() ? in_[at_ + 1] : '\0'; }

  void next() {
    const char c = in_[at_];
    if (c == '\\') return escaped();
    if (in_class_) {
      in_class_ = c != ']';
    } else if (c == '[') {
      in_class_ = true;
      check(peek() != ']', "has an empty class");
    } else if (c == '(' && peek() == '?') {  // a group that keeps nothing: here none does
      check(in_.compare(at_, 3, "(?:") == 0, "has a group of a kind that is not supported");
      at_ += 2;
    } else if (c == '*' || c == '+' || c == '?') {
      out_ += c;
      if (peek() == '?') ++at_;  // lazy: the same paths match
      return check(peek() != '*' && peek() != '+', "repeats a repetition");
    } else {
      check(c != '{', "counts with {..}, which is not supported");
    }
    out_ += c;
  }

  void escaped() {
    const auto c = static_cast<unsigned char>(peek());
    ++at_;
    if (c == 'd') {
      out_ += in_class_ ? "0-9" : "[0-9]";
    } else if (c == 'w' && in_class_) {
      out_ += "[:alnum:]_";
    } else if (in_class_) {  // where a backslash stands for itself
      check(c == '.' || c == '_' || c == '/', "has an escape in a class that is not supported");
      out_ += static_cast<char>(c);
    } else {
      check(std::ispunct(c) != 0 || c == 'w' || c == 's', "has an escape that is not supported");
      out_ += '\\';
      out_ += static_cast<char>(c);
    }
  }

  const std::string& in_;
  const std::string& where_;
  std::string out_;
  size_t at_ = 0;
  bool in_class_ = false;
};

class Regex {
 public:
  Regex(const std::string& text, const std::string& where) {
    const int error = ::regcomp(&compiled_, text.c_str(), REG_EXTENDED | REG_NOSUB);
    GMAIL_INPUT(error == 0, where, ": \"", text, "\" is no pattern of names");
  }
  ~Regex() { ::regfree(&compiled_); }
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;
  [[nodiscard]] bool matches(const std::string& text) const {
    return ::regexec(&compiled_, text.c_str(), 0, nullptr, 0) == 0;
  }

 private:
  regex_t compiled_{};
};

}  // namespace

bool pattern_matches(const std::string& pattern, const std::string& path, const std::string& where) {
  return Regex("^(.*\\.)?(" + Translation(pattern, where).text() + ")$", where).matches(path);
}

}  // namespace gmail
