#include "cli/eval_report.h"

#include <iostream>

#include "io/files.h"

namespace gmail::cli {

void print(const Result& result) {
  for (const auto& [key, value] : result.items())
    if (!value.is_structured())
      std::cout << key << '\t' << (value.is_string() ? value.get<std::string>() : value.dump()) << '\n';
}

void save(const Result& result, const std::string& out) {
  if (out.empty()) return;
  write_atomically(out, result.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void report(const Result& result, const std::string& out) {
  save(result, out);
  print(result);
}

}  // namespace gmail::cli
