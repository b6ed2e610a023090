// The log of a run: one JSON object a line, appended as it happens. Resuming at step S drops what lies after
// S, and a line that was cut off by a crash, so every step is there once.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "io/files.h"

namespace gmail {

class TrainLog {
 public:
  // Keeps the lines with "step" <= done of an older log; with done = 0 begins anew.
  TrainLog(const std::filesystem::path& path, int64_t done);
  void write(const nlohmann::ordered_json& line) { file_.append(line.dump() + "\n"); }
  [[nodiscard]] double seconds() const { return seconds_; }  // "seconds" of the last line that was kept, or 0

 private:
  static double keep(const std::filesystem::path& path, int64_t done);
  double seconds_;
  AppendFile file_;
};

}  // namespace gmail
