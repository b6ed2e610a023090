// The numbers of an evaluation: on the terminal and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace gmail::cli {

using Result = nlohmann::ordered_json;

// Prints the numbers, one a line.
void print(const Result& result);
// Prints them, and writes them if there is a file for them.
void report(const Result& result, const std::string& out);

}  // namespace gmail::cli
