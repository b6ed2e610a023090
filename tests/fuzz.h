// Readers against hostile input: a good file, mutated, is read or refused with an InputError, never worse.
// GMAIL_FUZZ=100000 in the environment sets the number of mutated files; the tests alone run a few.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/check.h"
#include "core/rng.h"

namespace gmail::test {

[[nodiscard]] inline int64_t fuzz_rounds(int64_t few) {
  const char* wanted = std::getenv("GMAIL_FUZZ");
  return wanted != nullptr ? std::atoll(wanted) : few;
}

// `good` with one to three changes among its first `reach` bytes: a byte, one of the format's own characters,
// a few bytes gone, a few bytes of elsewhere put in.
[[nodiscard]] inline std::string mutated(std::string bytes, size_t reach, Rng& rng,
                                         std::string_view characters = "0123456789{}[]\",:-") {
  const auto below = [&](size_t n) {
    return static_cast<size_t>(rng.below(static_cast<int64_t>(std::max<size_t>(n, 1))));
  };
  for (size_t n = 1 + below(3); n > 0 && !bytes.empty(); --n) {
    const size_t at = below(std::min(reach, bytes.size())), kind = below(4);
    if (kind == 0) bytes[at] = static_cast<char>(below(256));
    if (kind == 1) bytes[at] = characters[below(characters.size())];
    if (kind == 2) bytes.erase(at, 1 + below(8));
    if (kind == 3) bytes.insert(at, bytes.substr(below(bytes.size()), 9));
  }
  return bytes;
}

// Calls read(mutated bytes) `rounds` times; how many were refused. Any other exception leaves it.
template <class Read>
int64_t count_refused(const std::string& good, size_t reach, int64_t rounds, const Read& read,
                      std::string_view characters = "0123456789{}[]\",:-") {
  Rng rng(1, Purpose::test);
  int64_t refused = 0;
  for (int64_t i = 0; i < rounds; ++i) {
    try {
      read(mutated(good, reach, rng, characters));
    } catch (const InputError&) {
      ++refused;
    }
  }
  return refused;
}

}  // namespace gmail::test
