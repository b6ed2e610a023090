#include "io/lines.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "io/json.h"

namespace gmail {

std::string parse_text_line(std::string_view line, const std::string& file, int64_t number) {
  const Json json = parse_json(line, file, number);
  Fields fields(json, concat(file, ":", number));
  if (!fields.has("text") || !json["text"].is_string()) fields.wrong("text", "a string");
  fields.finish();
  return json["text"].get<std::string>();
}

bool LineStream::next(std::string_view& line) {
  constexpr size_t kChunk = 1 << 16;
  size_t searched = begin_, end = buffer_.find('\n', searched);
  while (end == std::string::npos) {
    buffer_.erase(0, begin_);
    begin_ = 0;
    searched = buffer_.size();
    buffer_.resize(searched + kChunk);
    ssize_t n = -1;
    do n = ::read(descriptor_, buffer_.data() + searched, kChunk);
    while (n < 0 && errno == EINTR);
    const int error = errno;
    buffer_.resize(searched + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    GMAIL_INPUT(n >= 0, "cannot read line ", number_ + 1, ": ", std::strerror(error));
    end = n == 0 ? buffer_.size() : buffer_.find('\n', searched);
    if (n == 0 && buffer_.empty()) return false;
  }
  line = std::string_view(buffer_).substr(begin_, end - begin_);
  begin_ = std::min(buffer_.size(), end + 1);
  ++number_;
  return true;
}

}  // namespace gmail
