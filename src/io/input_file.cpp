#include "io/input_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/check.h"

namespace gmail {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  throw InputError(concat("cannot read ", path.string(), ": ", std::generic_category().message(error)));
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path)
    : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) fail(path, errno);
}

InputFile::~InputFile() { ::close(fd_); }

size_t InputFile::read(std::span<std::byte> to) {
  for (;;) {
    const ssize_t n = ::read(fd_, to.data(), to.size());
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) fail(path_, errno);
  }
}

bool LineFile::next(std::string_view& line) {
  constexpr size_t kPiece = size_t{1} << 18;
  size_t end = buffer_.find('\n', at_);
  while (end == std::string::npos) {
    buffer_.erase(0, at_);
    at_ = 0;
    const size_t before = buffer_.size();
    buffer_.resize(before + kPiece);
    buffer_.resize(before + file_.read(std::as_writable_bytes(std::span(buffer_).subspan(before))));
    end = buffer_.find('\n', before);
    if (buffer_.size() == before) break;
  }
  if (at_ == buffer_.size()) return false;
  line = std::string_view(buffer_).substr(at_, std::min(end, buffer_.size()) - at_);
  at_ += line.size() + (end == std::string::npos ? 0 : 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  ++number_;
  return true;
}

}  // namespace gmail
