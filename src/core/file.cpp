#include "core/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/check.h"

namespace gmail {
namespace {

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { (void)close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool close() {
    const int fd = std::exchange(fd_, -1);
    return fd < 0 || ::close(fd) == 0;
  }

 private:
  int fd_;
};

bool write_all(int fd, std::span<const unsigned char> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

std::vector<unsigned char> read_file(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  GMAIL_INPUT(file.get() >= 0, path.string(), ": cannot open: ", std::strerror(errno));
  std::vector<unsigned char> bytes;
  std::error_code unknown;  // a pipe has no size: read until it ends
  const uintmax_t expected = std::filesystem::file_size(path, unknown);
  size_t used = 0;
  bytes.resize(unknown ? 0 : static_cast<size_t>(expected));
  while (true) {
    if (used == bytes.size()) bytes.resize(used + std::max<size_t>(4096, used / 2));
    const ssize_t n = ::read(file.get(), bytes.data() + used, bytes.size() - used);
    if (n < 0 && errno == EINTR) continue;
    GMAIL_INPUT(n >= 0, path.string(), ": cannot read: ", std::strerror(errno));
    if (n == 0) break;
    used += static_cast<size_t>(n);
  }
  bytes.resize(used);
  return bytes;
}

void write_file(const std::filesystem::path& path, std::span<const unsigned char> bytes, Flush flush) {
  const std::string temporary = path.string() + ".tmp";
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  GMAIL_CHECK(file.get() >= 0, path.string(), ": cannot create: ", std::strerror(errno));
  const bool written = write_all(file.get(), bytes) && (flush == Flush::no || ::fsync(file.get()) == 0) &&
                       file.close() && ::rename(temporary.c_str(), path.c_str()) == 0;
  if (written) return;
  const std::string reason = std::strerror(errno);
  (void)::unlink(temporary.c_str());
  throw Error(concat(path.string(), ": cannot write: ", reason));
}

void write_file(const std::filesystem::path& path, std::string_view text, Flush flush) {
  write_file(path, std::span(reinterpret_cast<const unsigned char*>(text.data()), text.size()), flush);
}

}  // namespace gmail
