#include "tiles.h"

#include <array>
#include <vector>

namespace emulator {
namespace {

struct Operands {
  float* c;
  const unsigned* a;
  unsigned b[2];
};

float element(unsigned pair, unsigned which) {
  return __builtin_bit_cast(float, which == 0 ? pair << 16U : pair & 0xffff0000U);
}

void multiply(void* const (&lanes)[32]) {
  float a[16][16], b[16][8];
  for (unsigned lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<const Operands*>(lanes[lane]);
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned i = 0; i < 4; ++i)
      for (unsigned e = 0; e < 2; ++e) a[g + i % 2 * 8][2 * t + i / 2 * 8 + e] = element(mine.a[i], e);
    for (unsigned i = 0; i < 2; ++i)
      for (unsigned e = 0; e < 2; ++e) b[2 * t + i * 8 + e][g] = element(mine.b[i], e);
  }
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      double sum = 0;
      for (unsigned k = 0; k < 16; ++k)
        sum += static_cast<double>(a[row][k]) * static_cast<double>(b[k][column]);
      float& c = static_cast<const Operands*>(lanes[lane])->c[i];
      c = static_cast<float>(static_cast<double>(c) + sum);
    }
}

struct Asked {
  const void* mine;
  Rows all;
};

void hand_round(void* const (&lanes)[32]) {
  Rows all{};
  for (unsigned i = 0; i < 32; ++i) all.row[i] = static_cast<const Asked*>(lanes[i])->mine;
  for (void* lane : lanes) static_cast<Asked*>(lane)->all = all;
}

// Copies that a thread of the running block waits for. What an earlier block left is forgotten.
struct Pending {
  uint64_t launch = 0, block = 0;
  std::vector<Copy> copies;
};

Pending& pending() {
  static std::array<Pending, 1024> of_threads;
  const Moment now = moment();
  Pending& mine = of_threads[now.thread];
  if (mine.launch != now.launch || mine.block != now.block) mine = {now.launch, now.block, {}};
  return mine;
}

}  // namespace

void tile_mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  Operands mine{c, a, {b0, b1}};
  sync_warp(~0U, &mine, multiply);
}

Rows all_rows(const void* mine) {
  Asked asked{mine, {}};
  sync_warp(~0U, &asked, hand_round);
  return asked.all;
}

void copy_later(void* to, const void* from, int bytes) {
  const auto width = static_cast<uintptr_t>(bytes);
  if (reinterpret_cast<uintptr_t>(to) % width != 0 || reinterpret_cast<uintptr_t>(from) % width != 0)
    fail("a copy that is not aligned to its size");
  pending().copies.push_back({to, from, bytes});
}

bool next_copy(Copy& copy) {
  std::vector<Copy>& copies = pending().copies;
  if (copies.empty()) return false;
  copy = copies.back();
  copies.pop_back();
  return true;
}

}  // namespace emulator
