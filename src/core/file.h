// Whole files. A reader of `path` sees the old contents or the new ones, never a part: what is written goes
// to `path`.tmp, which is then renamed.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace gmail {

// May the contents be lost when the power fails? `yes` waits for the disk: for what cannot be made again.
enum class Flush : bool { no, yes };

// Throws InputError, naming the file, if it cannot be opened or read.
[[nodiscard]] std::vector<unsigned char> read_file(const std::filesystem::path& path);

// Throws Error (exit code 1), naming the file, if it cannot be written in full; nothing is left behind.
void write_file(const std::filesystem::path& path, std::span<const unsigned char> bytes,
                Flush flush = Flush::yes);
void write_file(const std::filesystem::path& path, std::string_view text, Flush flush = Flush::yes);

}  // namespace gmail
