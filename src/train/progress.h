// Progress of a long job on the terminal: one line that rewrites itself, with rate and time to go. Piped into
// a file it becomes a plain line every ten seconds, the first and the last included.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace gmail {

// 75 -> "1:15", 3700 -> "1:01:40"
[[nodiscard]] std::string duration_text(double seconds);
// 1234567 -> "1,234,567"
[[nodiscard]] std::string count_text(int64_t n);

class Progress {
 public:
  // `done` of `total` are done already (a resumed job); their time does not count for the rate.
  Progress(std::string label, int64_t total, int64_t done = 0, bool quiet = false);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // "label 12/100  note  ETA 0:42", if a line is due. items: what the rate counts since the start, 0 for no
  // rate.
  void update(int64_t done, const std::string& note = "", int64_t items = 0,
              const std::string& unit = "items");
  [[nodiscard]] double seconds() const;  // since the start

 private:
  void print(const std::string& line);
  std::string label_;
  int64_t total_, start_;
  bool quiet_, terminal_;
  bool open_line_ = false;
  size_t width_ = 0;
  double next_ = 0;  // seconds at which the next line is due
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace gmail
