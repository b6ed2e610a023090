#include "train/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/check.h"

namespace gmail {

std::string duration_text(double seconds) {
  const auto s = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  char text[48];
  if (s >= 3600)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
  return text;
}

std::string count_text(int64_t n) {
  std::string text = std::to_string(n);
  for (auto at = static_cast<int64_t>(text.size()) - 3; at > (n < 0 ? 1 : 0); at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

Progress::Progress(std::string label, int64_t total, int64_t done, bool quiet)
    : label_(std::move(label)),
      total_(total),
      start_(done),
      quiet_(quiet),
      terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (open_line_) std::fputc('\n', stderr);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
}

void Progress::update(int64_t done, const std::string& note, int64_t items, const std::string& unit) {
  const double now = seconds();
  if (quiet_ || (now < next_ && done < total_)) return;
  next_ = now + (terminal_ ? 0.1 : 10);
  std::string line = concat(label_, " ", done, "/", total_);
  if (!note.empty()) line += "  " + note;
  if (items > 0 && now > 0) {
    char rate[48];
    std::snprintf(rate, sizeof rate, "  %.1f ", static_cast<double>(items) / now);
    line += rate + unit + "/s";
  }
  if (done >= total_)
    line += "  took " + duration_text(now);
  else if (done > start_)
    line += "  ETA " +
            duration_text(now / static_cast<double>(done - start_) * static_cast<double>(total_ - done));
  print(line);
}

void Progress::print(const std::string& line) {
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", line.c_str());
    return;
  }
  const std::string rest(width_ > line.size() ? width_ - line.size() : 0, ' ');
  std::fprintf(stderr, "\r%s%s", line.c_str(), rest.c_str());
  std::fflush(stderr);
  width_ = line.size();
  open_line_ = true;
}

}  // namespace gmail
