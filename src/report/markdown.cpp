#include "report/markdown.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "core/check.h"

namespace gmail {
namespace {

[[nodiscard]] std::string escaped(const std::string& cell) {
  std::string out;
  for (const char c : cell) out += c == '|' ? "\\|" : c == '\n' ? " " : std::string(1, c);
  return out;
}

// characters, not bytes
[[nodiscard]] size_t length(const std::string& utf8) {
  return static_cast<size_t>(std::count_if(
      utf8.begin(), utf8.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0U) != 0x80U; }));
}

}  // namespace

std::string markdown_table(const std::vector<std::string>& header,
                           const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<std::string>> cells{header};
  cells.insert(cells.end(), rows.begin(), rows.end());
  std::vector<size_t> width(header.size(), 3);
  for (auto& row : cells) {
    GMAIL_CHECK(row.size() == header.size(), "[markdown_table] a row of ", row.size(),
                " cells under a header of ", header.size());
    for (size_t c = 0; c < row.size(); ++c) {
      row[c] = escaped(row[c]);
      width[c] = std::max(width[c], length(row[c]));
    }
  }
  std::string out;
  for (size_t r = 0; r < cells.size(); ++r) {
    for (size_t c = 0; c < width.size(); ++c) {
      const std::string space(width[c] - length(cells[r][c]), ' ');
      out += c == 0 ? "| " + cells[r][c] + space + " |" : " " + space + cells[r][c] + " |";
    }
    out += '\n';
    if (r > 0) continue;
    for (size_t c = 0; c < width.size(); ++c)
      out += c == 0 ? "|:" + std::string(width[c] + 1, '-') + "|" : std::string(width[c] + 1, '-') + ":|";
    out += '\n';
  }
  return out;
}

std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return "n/a";
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << value;
  return out.str();
}

}  // namespace gmail
