// core/rng.h's generator on the device: the same words for the same stream.
#pragma once

#include "core/rng.h"
#include "launch.h"

namespace gmail::cuda {

struct Words {
  unsigned w[4];
};

// Block k of a stream: its words 4k .. 4k + 3.
__device__ inline Words philox_block(const PhiloxStream& stream, int64_t k) {
  constexpr unsigned kMul0 = 0xD2511F53U, kMul1 = 0xCD9E8D57U, kWeyl0 = 0x9E3779B9U, kWeyl1 = 0xBB67AE85U;
  unsigned key0 = stream.key[0], key1 = stream.key[1];
  Words c{{static_cast<unsigned>(k), stream.counter[1], stream.counter[2], stream.counter[3]}};
  for (int round = 0; round < 10; ++round) {
    const unsigned high0 = __umulhi(kMul0, c.w[0]), low0 = kMul0 * c.w[0];
    const unsigned high1 = __umulhi(kMul1, c.w[2]), low1 = kMul1 * c.w[2];
    c = {{high1 ^ c.w[1] ^ key0, low1, high0 ^ c.w[3] ^ key1, low0}};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return c;
}

}  // namespace gmail::cuda
