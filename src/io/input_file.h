// Files of any size, read from beginning to end in little memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace gmail {

class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);  // InputError "cannot read F: .." if there is none
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  [[nodiscard]] size_t read(std::span<std::byte> to);  // how many bytes; 0 at the end only

 private:
  std::filesystem::path path_;
  int fd_;
};

// The lines of a file, one after the other, without their ends (LF or CR LF).
class LineFile {
 public:
  explicit LineFile(const std::filesystem::path& path) : file_(path) {}
  [[nodiscard]] bool next(std::string_view& line);          // which stays until the next call
  [[nodiscard]] int64_t number() const { return number_; }  // of that line, from 1

 private:
  InputFile file_;
  std::string buffer_;
  size_t at_ = 0;
  int64_t number_ = 0;
};

}  // namespace gmail
