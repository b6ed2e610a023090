// The numbers of an evaluation: on the terminal and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace gmail::cli {

using Result = nlohmann::ordered_json;

// Prints the numbers, one a line.
void print(const Result& result);
// Writes all of it if there is a file for it, as a whole; a path in it that is not UTF-8 has U+FFFD there.
void save(const Result& result, const std::string& out);
// Prints them, and saves them.
void report(const Result& result, const std::string& out);

}  // namespace gmail::cli
