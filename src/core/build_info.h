// What this binary was built from and with: printed by `gmail --version`, stored beside every result.
#pragma once

#include <string>

namespace gmail {

struct BuildInfo {
  std::string version;   // "0.1.0"
  std::string commit;    // of the sources, "-dirty" if they differ from it; "unknown" outside a checkout
  std::string compiler;  // "GNU 12.2.0"
  std::string flags;     // optimisation and target
  std::string cuda;      // what the configuration found, and whether it is used
  std::string cblas;
};

[[nodiscard]] BuildInfo build_info();

}  // namespace gmail
