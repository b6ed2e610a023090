#include "io/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "core/check.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;

// A path that cannot be is the user's mistake (exit 2); a disk that is full or broken is not (exit 1).
[[noreturn]] void fail(const char* verb, const fs::path& path, int error) {
  const std::string text =
      concat("cannot ", verb, " ", path.string(), ": ", std::generic_category().message(error));
  const bool users = error == ENOENT || error == EACCES || error == EPERM || error == ENOTDIR ||
                     error == EISDIR || error == EROFS || error == ENAMETOOLONG || error == EEXIST ||
                     error == ELOOP;
  if (users) throw InputError(text);
  throw Error(text);
}

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, const char* verb, const fs::path& named)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (fd_ < 0) fail(verb, named, errno);
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

void write_all(int fd, std::span<const std::byte> bytes, const fs::path& named) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("write", named, errno);
    if (n == 0) fail("write", named, ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

// Makes a rename survive a power cut. Some file systems cannot flush a directory: that is not an error.
void flush_directory(const fs::path& directory) {
  const int fd = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

void write_atomically(const fs::path& path, const std::function<void(const ByteSink& write)>& fill,
                      Flush flush) {
  struct stat info {};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) fail("write", path, EISDIR);
  if (exists && !S_ISREG(info.st_mode)) {
    Descriptor file(path, O_WRONLY, "write", path);
    fill([&](std::span<const std::byte> bytes) { write_all(file.get(), bytes, path); });
    if (file.close() != 0) fail("write", path, errno);
    return;
  }
  fs::path partial = path;
  partial += ".partial";
  try {
    Descriptor file(partial, O_WRONLY | O_CREAT | O_TRUNC, "write", path);
    fill([&](std::span<const std::byte> bytes) { write_all(file.get(), bytes, path); });
    if (flush == Flush::yes && ::fsync(file.get()) != 0) fail("write", path, errno);
    if (file.close() != 0) fail("write", path, errno);
    if (::rename(partial.c_str(), path.c_str()) != 0) fail("write", path, errno);
  } catch (...) {
    ::unlink(partial.c_str());
    throw;
  }
  if (flush == Flush::yes) flush_directory(path.parent_path());
}

void write_atomically(const fs::path& path, std::string_view bytes, Flush flush) {
  write_atomically(
      path, [&](const ByteSink& write) { write(std::as_bytes(std::span(bytes))); }, flush);
}

std::string read_text(const fs::path& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void make_dirs(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail("make directory", path, error.value());
}

void make_parent_dirs(const fs::path& file) {
  if (file.has_parent_path()) make_dirs(file.parent_path());
}

AppendFile::AppendFile(const fs::path& path)
    : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (fd_ < 0) fail("write", path, errno);
}

AppendFile::~AppendFile() { ::close(fd_); }

void AppendFile::append(std::string_view bytes) {
  const off_t before = ::lseek(fd_, 0, SEEK_END);
  try {
    write_all(fd_, std::as_bytes(std::span(bytes)), path_);
  } catch (...) {
    if (before >= 0 && ::ftruncate(fd_, before) != 0) throw Error(concat("cannot mend ", path_.string()));
    throw;
  }
}

MappedFile::MappedFile(const fs::path& path) {
  const Descriptor file(path, O_RDONLY, "read", path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail("read", path, errno);
  if (S_ISDIR(info.st_mode)) fail("read", path, EISDIR);
  if (info.st_size == 0) return;
  const auto size = static_cast<size_t>(info.st_size);
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (memory == MAP_FAILED) fail("read", path, errno);
  bytes_ = {static_cast<const std::byte*>(memory), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace gmail
