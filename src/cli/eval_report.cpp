#include "cli/eval_report.h"

#include <iostream>

#include "io/files.h"

namespace gmail::cli {

void print(const Result& result) {
  for (const auto& [key, value] : result.items())
    if (!value.is_structured())
      std::cout << key << '\t' << (value.is_string() ? value.get<std::string>() : value.dump()) << '\n';
}

void report(const Result& result, const std::string& out) {
  if (!out.empty()) write_atomically(out, result.dump(2) + "\n");
  print(result);
}

}  // namespace gmail::cli
