#include "core/build_info.h"

#include "config.h"  // written by the build, see scripts/write_config.cmake

namespace gmail {

BuildInfo build_info() {
  return {GMAIL_CONFIG_VERSION, GMAIL_CONFIG_COMMIT, GMAIL_CONFIG_COMPILER,
          GMAIL_CONFIG_FLAGS,   GMAIL_CONFIG_CUDA,   GMAIL_CONFIG_CBLAS};
}

}  // namespace gmail
