// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1,
// 2, 3"). A stream is named by (seed, purpose, step, index) and is the same on every device and for every
// thread count: no state is carried from step to step, so a resumed run draws what the straight run drew.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/tensor.h"

namespace gmail {

// Who draws: two users of one seed never share a stream.
enum class Purpose : uint8_t {
  init = 1,
  shuffle,
  augment,
  dropout,
  noise,
  time,
  text_dropout,
  sample,
  world_scene,
  world_pixels,
  world_caption,
  caption_choice,
  test,
  bench,
  audit,
  caption_token
};

using PhiloxBlock = std::array<uint32_t, 4>;
[[nodiscard]] PhiloxBlock philox(std::array<uint32_t, 2> key, std::array<uint32_t, 4> counter);

// The key and the first counter of a stream; block k of it is philox(key, counter + k in counter[0]).
struct PhiloxStream {
  std::array<uint32_t, 2> key;
  std::array<uint32_t, 4> counter;
};
[[nodiscard]] PhiloxStream philox_stream(uint64_t seed, Purpose purpose, uint64_t step, uint64_t index);

// Words first .. of a stream: what Rng draws there, and what fill_uniform makes of the elements of these
// numbers. `first` is a multiple of 4.
void stream_words(std::span<uint32_t> words, int64_t first, uint64_t seed, Purpose purpose, uint64_t step = 0,
                  uint64_t index = 0);

class Rng {
 public:
  Rng(uint64_t seed, Purpose purpose, uint64_t step = 0, uint64_t index = 0);
  [[nodiscard]] uint32_t bits();   // the next 32 bits
  [[nodiscard]] double uniform();  // [0, 1)
  [[nodiscard]] double uniform(double low, double high) { return low + (high - low) * uniform(); }
  [[nodiscard]] double normal();           // Box-Muller
  [[nodiscard]] int64_t below(int64_t n);  // 0 .. n-1, unbiased
  [[nodiscard]] bool chance(double p) { return uniform() < p; }

 private:
  std::array<uint32_t, 2> key_{};
  std::array<uint32_t, 4> counter_{};
  PhiloxBlock block_{};
  int used_ = 4;
};

// A stream's index made from a name (FNV-1a, folded to the 44 bits that an index takes): what a named thing
// draws does not depend on what else there is.
[[nodiscard]] uint64_t stream_index(std::string_view name);

// Element i of `t` depends on the stream's name and on i alone. t is float32 or float64.
void fill_normal(Tensor& t, double stddev, uint64_t seed, Purpose purpose, uint64_t step = 0,
                 uint64_t index = 0);
void fill_uniform(Tensor& t, double low, double high, uint64_t seed, Purpose purpose, uint64_t step = 0,
                  uint64_t index = 0);

}  // namespace gmail
