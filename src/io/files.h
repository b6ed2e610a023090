// Files as whole things: a file is read at once, and is written so that it is either the old one or the
// complete new one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace gmail {

// Appends bytes to the file being written; one system call each.
using ByteSink = std::function<void(std::span<const std::byte>)>;

// May the contents be lost when the power fails? `yes` waits for the disk; `no` is for what is quickly made
// again, such as thousands of small pictures.
enum class Flush : bool { no, yes };

// Writes `path` by way of "<path>.partial" beside it: every byte, flushed to the disk, then renamed. When
// anything fails (a full disk, an exception in `fill`) the partial file is removed, `path` is what it was,
// and Error says "cannot write F: No space left on device". A device or pipe is written directly. One writer
// per path at a time.
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(const ByteSink& write)>& fill, Flush flush = Flush::yes);
void write_atomically(const std::filesystem::path& path, std::string_view bytes, Flush flush = Flush::yes);

// The whole file; InputError "cannot read F: ..." if there is none.
[[nodiscard]] std::string read_text(const std::filesystem::path& path);

// Makes the directory and its parents; fine if it is there already.
void make_dirs(const std::filesystem::path& path);

// Makes the directory that `file` will stand in ("" does nothing). Called before long work, it says an
// impossible output first.
void make_parent_dirs(const std::filesystem::path& file);

// A file that grows, for logs. A line that does not fit on the disk is taken back, so only whole ones remain.
class AppendFile {
 public:
  explicit AppendFile(const std::filesystem::path& path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  void append(std::string_view bytes);

 private:
  std::filesystem::path path_;
  int fd_;
};

// A file in memory, read-only, loaded page by page on first use.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace gmail
