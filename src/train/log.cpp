#include "train/log.h"

#include <sstream>

namespace gmail {

TrainLog::TrainLog(const std::filesystem::path& path, int64_t done)
    : seconds_(keep(path, done)), file_(path) {}

double TrainLog::keep(const std::filesystem::path& path, int64_t done) {
  std::string kept;
  double seconds = 0;
  if (done > 0 && std::filesystem::exists(path)) {
    std::istringstream lines(read_text(path));
    for (std::string line; std::getline(lines, line);) {
      const auto parsed = nlohmann::json::parse(line, nullptr, false);
      if (lines.eof() || !parsed.is_object() || parsed.value("step", done + 1) > done) break;
      kept += line + "\n";
      seconds = parsed.value("seconds", 0.0);
    }
  }
  write_atomically(path, kept);
  return seconds;
}

}  // namespace gmail
