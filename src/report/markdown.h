// Tables for results.md, readable as plain text too.
#pragma once

#include <string>
#include <vector>

namespace gmail {

// The first column is flush left, the others flush right; '|' in a cell is escaped. Every row has the
// header's length.
[[nodiscard]] std::string markdown_table(const std::vector<std::string>& header,
                                         const std::vector<std::vector<std::string>>& rows);

// 12.345 with 1 digit is "12.3"; a value that is not finite is "n/a"
[[nodiscard]] std::string fixed(double value, int digits = 1);

}  // namespace gmail
