// Lines of text, and JSON lines. A last line without its newline counts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace gmail {

// body(line, number), the first being 1
template <class F>
void for_each_line(std::string_view text, F&& body) {
  for (int64_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    body(line, number);
  }
}

// {"text": ".."}; the text may be empty. InputError "FILE:NUMBER: ...".
[[nodiscard]] std::string parse_text_line(std::string_view line, const std::string& file, int64_t number);

// The lines of a pipe as they come, in the memory of the longest of them.
class LineStream {
 public:
  explicit LineStream(int descriptor) : descriptor_(descriptor) {}
  // False at the end. The line is valid until the next call; InputError if it cannot be read.
  [[nodiscard]] bool next(std::string_view& line);
  [[nodiscard]] int64_t number() const { return number_; }  // of the last line, from 1
  // Whether next() must read on, and so may wait: what was computed so far is due.
  [[nodiscard]] bool waits() const { return buffer_.find('\n', begin_) == std::string::npos; }

 private:
  int descriptor_;
  std::string buffer_;
  size_t begin_ = 0;
  int64_t number_ = 0;
};

}  // namespace gmail
