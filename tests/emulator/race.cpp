// Finds races between the threads of a kernel. The kernels are compiled with -fsanitize=thread, which
// calls a function before every access to memory; these are the functions. Two accesses of one place by
// different threads race if one of them writes, not both are atomic, and no barrier of both lies between
// them: a barrier of the block for threads of one block, one of the warp for lanes of one warp, the end
// of the launch for threads of different blocks.
#include <array>
#include <cstdio>
#include <unordered_map>

#include "emulator.h"

namespace emulator {
namespace {

constexpr uintptr_t kCell = 2;  // bytes: the smallest element of a kernel, a bfloat16

struct Access {
  Moment when;
  bool atomic = false;
};
struct Cell {
  Access write, reads[2];  // the last write, and the last reads of two different threads
  bool written = false, read[2] = {false, false};
};

std::unordered_map<uintptr_t, Cell>& cells() {
  static std::unordered_map<uintptr_t, Cell> c;
  return c;
}
uint64_t& launch_of_cells() {
  static uint64_t launch = 0;
  return launch;
}

bool same_thread(const Moment& a, const Moment& b) { return a.block == b.block && a.thread == b.thread; }

bool ordered(const Moment& a, const Moment& b, bool shared) {
  if (same_thread(a, b)) return true;
  if (a.block != b.block) return shared;  // each block has shared memory of its own
  return a.block_epoch != b.block_epoch || (a.warp == b.warp && a.warp_epoch != b.warp_epoch);
}

void race(const char* what, uintptr_t address, const Access& other, const Moment& now) {
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(),
                "race: it %s what thread %u%s touches, without a barrier between (address %#llx)", what,
                other.when.thread, other.when.block == now.block ? "" : " of another block",
                static_cast<unsigned long long>(address));
  fail(text.data());
}

void access(const void* p, uintptr_t bytes, bool writes, bool atomic) {
  if (!running() || on_a_stack(p)) return;
  const Moment now = moment();
  if (launch_of_cells() != now.launch) {  // the end of a launch is a barrier for all
    cells().clear();
    launch_of_cells() = now.launch;
  }
  const bool shared = in_shared(p);
  const auto begin = reinterpret_cast<uintptr_t>(p);
  for (uintptr_t at = begin / kCell; at <= (begin + bytes - 1) / kCell; ++at) {
    Cell& cell = cells()[at];
    if (cell.written && !(atomic && cell.write.atomic) && !ordered(cell.write.when, now, shared))
      race(writes ? "writes" : "reads", begin, cell.write, now);
    if (!writes) {
      const size_t slot = cell.read[0] && !same_thread(cell.reads[0].when, now) ? 1 : 0;
      cell.reads[slot] = {now, atomic};
      cell.read[slot] = true;
      continue;
    }
    for (size_t i = 0; i < 2; ++i)
      if (cell.read[i] && !(atomic && cell.reads[i].atomic) && !ordered(cell.reads[i].when, now, shared))
        race("writes", begin, cell.reads[i], now);
    cell = Cell();
    cell.write = {now, atomic};
    cell.written = true;
  }
}

const bool kListening = [] {
  set_on_atomic([](const void* p, size_t bytes) { access(p, bytes, true, true); });
  return true;
}();

}  // namespace
}  // namespace emulator

using emulator::access;

#define GMAIL_TSAN(name, bytes)                                                 \
  void __tsan_read##name(void* p) { access(p, bytes, false, false); }           \
  void __tsan_write##name(void* p) { access(p, bytes, true, false); }           \
  void __tsan_unaligned_read##name(void* p) { access(p, bytes, false, false); } \
  void __tsan_unaligned_write##name(void* p) { access(p, bytes, true, false); } \
  void __tsan_volatile_read##name(void* p) { access(p, bytes, false, false); }  \
  void __tsan_volatile_write##name(void* p) { access(p, bytes, true, false); }

extern "C" {
GMAIL_TSAN(1, 1)
GMAIL_TSAN(2, 2)
GMAIL_TSAN(4, 4)
GMAIL_TSAN(8, 8)
GMAIL_TSAN(16, 16)
void __tsan_read_range(void* p, size_t bytes) {
  if (bytes > 0) access(p, bytes, false, false);
}
void __tsan_write_range(void* p, size_t bytes) {
  if (bytes > 0) access(p, bytes, true, false);
}
// the host's atomics (reference counts, statics)
uint32_t __tsan_atomic32_fetch_add(volatile uint32_t* p, uint32_t v, int) {
  return __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL);
}
uint8_t __tsan_atomic8_load(const volatile uint8_t* p, int) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
}
