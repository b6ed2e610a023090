// The sizes of an op that treats a tensor as N rows of C, and names for the checks that both backends share.
#pragma once

#include <cstdint>

namespace gmail {

struct RowSizes {
  int64_t N, C;
};

}  // namespace gmail
