// What the instructions of cuda/tile_mma.cuh mean. A copy happens as late as it may: when its thread waits
// for it.
#pragma once

#include <cstdint>

#include "emulator.h"

namespace emulator {

// c (16, 8) += a (16, 16) b (16, 8), from the registers of all lanes, summed in double
void tile_mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);

// the 32 rows that the lanes name
struct Rows {
  const void* row[32];
};
[[nodiscard]] Rows all_rows(const void* mine);

struct Copy {
  void* to = nullptr;
  const void* from = nullptr;  // null: zeros
  int bytes = 0;
};
void copy_later(void* to, const void* from, int bytes);
[[nodiscard]] bool next_copy(Copy& copy);  // of the running thread; false: none is left

// Inline, so that the race detector and AddressSanitizer see what the kernel reads and writes.
inline void load_matrices(unsigned (&x)[4], const void* row, bool transpose) {
  const Rows rows = all_rows(row);
  const unsigned g = here().lane / 4, t = here().lane % 4;
  for (unsigned m = 0; m < 4; ++m) {
    const auto at = [&](unsigned r, unsigned c) {
      return static_cast<const uint16_t*>(rows.row[8 * m + r])[c];
    };
    const unsigned first = transpose ? at(2 * t, g) : at(g, 2 * t);
    const unsigned second = transpose ? at(2 * t + 1, g) : at(g, 2 * t + 1);
    x[m] = first | second << 16U;
  }
}

inline void copies_wait() {
  for (Copy copy; next_copy(copy);)
    for (int i = 0; i < copy.bytes / 4; ++i)
      static_cast<unsigned*>(copy.to)[i] =
          copy.from == nullptr ? 0 : static_cast<const unsigned*>(copy.from)[i];
}

}  // namespace emulator
