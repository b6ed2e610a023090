#include "emulator.h"

#include <array>
#include <cstdio>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <vector>

#include "fiber.h"

extern "C" char __data_start, _end;  // the linker's: where the program's variables lie

namespace emulator {
namespace {

constexpr size_t kStack = size_t{64} << 10U;
constexpr unsigned kWarp = 32, kMaxThreads = 1024;
enum class State : uint8_t { fresh, ready, at_block, at_warp, done };

struct Thread {
  State state = State::fresh;
  Here here;
  Fiber* fiber = nullptr;
};

struct Warp {
  unsigned arrived = 0;
  uint64_t epoch = 0;
  Act act = nullptr;
  void* lanes[kWarp] = {};
};

struct Machine {
  Schedule schedule = Schedule::round_robin;
  Fiber root;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> idle;
  std::map<const void*, const Fiber*> stacks;  // by their lowest address
  const Launch* launch = nullptr;
  std::vector<Thread> threads;  // of the running block
  std::vector<Warp> warps;
  std::unique_ptr<std::byte[]> shared;
  Thread* current = nullptr;
  unsigned cursor = 0;              // where the schedule looks first
  unsigned ended = 0, arrived = 0;  // threads that are done; that wait for the block
  uint64_t launches = 0, block = 0, block_epoch = 0;
  std::string failure;
  OnAtomic on_atomic = nullptr;
};

Machine& machine() {
  static Machine m;
  return m;
}

// The next thread to run; null if none can. Greedy: from the first lane of the warp that runs now. The cursor
// counts in the direction of the schedule.
Thread* next(Machine& m) {
  const auto n = static_cast<unsigned>(m.threads.size());
  const bool reverse = m.schedule == Schedule::greedy_reverse;
  const unsigned begin = m.schedule == Schedule::round_robin ? m.cursor : m.cursor / kWarp * kWarp;
  for (unsigned i = 0; i < n; ++i) {
    const unsigned position = (begin + i) % n;
    Thread& t = m.threads[reverse ? n - 1 - position : position];
    if (t.state != State::fresh && t.state != State::ready) continue;
    m.cursor = m.schedule == Schedule::round_robin ? position + 1 : position;
    return &t;
  }
  return nullptr;
}

void run_threads(void* self);

Fiber* idle_fiber(Machine& m) {
  if (m.idle.empty()) {
    // the fiber's argument is its own place in the list
    m.fibers.push_back(nullptr);
    m.fibers.back() =
        std::make_unique<Fiber>(kStack, run_threads, reinterpret_cast<void*>(m.fibers.size() - 1));
    m.stacks[m.fibers.back()->stack()] = m.fibers.back().get();
    return m.fibers.back().get();
  }
  Fiber* fiber = m.idle.back();
  m.idle.pop_back();
  return fiber;
}

// Goes on with the next thread that can run, or with the scheduler if there is none; returns when `from` is
// resumed.
void give_way(Fiber& from) {
  Machine& m = machine();
  Thread* t = m.failure.empty() ? next(m) : nullptr;
  m.current = t;
  if (t != nullptr && t->state == State::fresh) {
    t->fiber = idle_fiber(m);
    t->state = State::ready;
  }
  Fiber& to = t != nullptr ? *t->fiber : m.root;
  if (&to != &from) to.resume_from(from);
}

// What a fiber does for ever: the thread it was given, and then another one.
void run_threads(void* self) {
  Machine& m = machine();
  Fiber& fiber = *m.fibers[reinterpret_cast<size_t>(self)];
  for (;;) {
    m.launch->kernel();
    m.current->state = State::done;
    ++m.ended;
    m.idle.push_back(&fiber);
    give_way(fiber);
  }
}

std::string place(const Machine& m, const Index& block) {
  std::ostringstream out;
  out << m.launch->name << ", block (" << block.x << ',' << block.y << ',' << block.z << ')';
  return out.str();
}

void run_block(Machine& m, const Index& index) {
  const Launch& l = *m.launch;
  const unsigned n = l.block.x * l.block.y * l.block.z;
  m.threads.assign(n, {});
  m.warps.assign(n / kWarp, {});
  m.cursor = m.ended = m.arrived = 0;
  m.block_epoch = 0;
  ++m.block;
  m.shared = std::make_unique_for_overwrite<std::byte[]>(l.shared_bytes);
  std::fill_n(m.shared.get(), l.shared_bytes, std::byte{0xff});
  for (unsigned i = 0; i < n; ++i) {
    const Index thread{i % l.block.x, i / l.block.x % l.block.y, i / (l.block.x * l.block.y)};
    m.threads[i].here = {l.grid, l.block, index, thread, i % kWarp, i};
  }
  give_way(m.root);
  m.current = nullptr;
  if (m.failure.empty() && m.ended < n) {
    unsigned at_warp = 0;
    for (const Thread& t : m.threads) at_warp += t.state == State::at_warp ? 1 : 0;
    std::ostringstream out;
    out << place(m, index) << ": deadlock: " << m.arrived << " threads wait for the block, " << at_warp
        << " for their warp, " << m.ended << " of " << n << " have ended";
    m.failure = out.str();
  }
  if (m.failure.empty()) return;
  m.idle.clear();  // their stacks are half-way through a kernel
  m.stacks.clear();
  m.fibers.clear();
  Failure failure(m.failure);
  m.failure.clear();
  throw failure;
}

void check(const Launch& l) {
  const uint64_t threads = uint64_t{l.block.x} * l.block.y * l.block.z;
  std::ostringstream wrong;
  if (threads == 0 || threads > kMaxThreads || threads % kWarp != 0)
    wrong << threads << " threads in a block; expected a multiple of 32 up to 1024";
  else if (l.grid.x == 0 || l.grid.y == 0 || l.grid.z == 0 || l.grid.x > 0x7fffffffU || l.grid.y > 65535 ||
           l.grid.z > 65535)
    wrong << "a grid of " << l.grid.x << " x " << l.grid.y << " x " << l.grid.z;
  else if (l.shared_bytes > shared_memory())
    wrong << l.shared_bytes << " bytes of shared memory; there are " << shared_memory();
  if (!wrong.str().empty()) throw Failure(std::string(l.name) + ": " + wrong.str());
}

}  // namespace

void set_schedule(Schedule schedule) { machine().schedule = schedule; }
Schedule schedule() { return machine().schedule; }

void run(const Launch& launch) {
  check(launch);
  Machine& m = machine();
  m.launch = &launch;
  ++m.launches;
  const uint64_t blocks = uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t b = m.schedule == Schedule::greedy_reverse ? blocks - 1 - i : i;
    run_block(m, {static_cast<unsigned>(b % launch.grid.x),
                  static_cast<unsigned>(b / launch.grid.x % launch.grid.y),
                  static_cast<unsigned>(b / (uint64_t{launch.grid.x} * launch.grid.y))});
  }
  m.shared.reset();
}

void launch(void* stream, const char* file, unsigned line, Index grid, Index block, size_t shared_bytes,
            std::function<void()> kernel) {
  const std::string path = file;
  const std::string name = path.substr(path.rfind('/') + 1) + ":" + std::to_string(line);
  enqueue(stream, [launch = Launch{name, grid, block, shared_bytes, std::move(kernel)}] { run(launch); });
}

const Here& here() { return machine().current->here; }
void* dynamic_shared() { return machine().shared.get(); }

void sync_block() {
  Machine& m = machine();
  Thread& me = *m.current;
  me.state = State::at_block;
  if (++m.arrived == m.threads.size()) {
    for (Thread& t : m.threads) t.state = State::ready;
    m.arrived = 0;
    ++m.block_epoch;
  }
  give_way(*me.fiber);
}

void sync_warp(unsigned mask, void* mine, Act act) {
  Machine& m = machine();
  Thread& me = *m.current;
  const unsigned first = me.here.number / kWarp * kWarp;
  Warp& warp = m.warps[first / kWarp];
  if (mask != ~0U) fail("a warp operation of less than all lanes; the kernels here use whole warps only");
  if (warp.arrived > 0 && warp.act != act) fail("the lanes of a warp are at different warp operations");
  warp.act = act;
  warp.lanes[me.here.lane] = mine;
  me.state = State::at_warp;
  if (++warp.arrived == kWarp) {
    act(warp.lanes);
    for (unsigned i = 0; i < kWarp; ++i) m.threads[first + i].state = State::ready;
    warp.arrived = 0;
    ++warp.epoch;
  }
  give_way(*me.fiber);
}

bool running() { return machine().current != nullptr; }

Moment moment() {
  const Machine& m = machine();
  const unsigned number = m.current->here.number, warp = number / kWarp;
  return {m.launches, m.block, number, warp, m.block_epoch, m.warps[warp].epoch};
}

bool on_a_stack(const void* address) {
  const Machine& m = machine();
  if (m.current->fiber->holds(address)) return true;
  const auto after = m.stacks.upper_bound(address);
  return after != m.stacks.begin() && std::prev(after)->second->holds(address);
}

bool in_shared(const void* address) {
  const Machine& m = machine();
  const auto* p = static_cast<const std::byte*>(address);
  if (p >= m.shared.get() && p < m.shared.get() + m.launch->shared_bytes) return true;
  return p >= reinterpret_cast<const std::byte*>(&__data_start) &&
         p < reinterpret_cast<const std::byte*>(&_end);
}

void set_on_atomic(OnAtomic on_atomic) { machine().on_atomic = on_atomic; }
void on_atomic(const void* address, size_t bytes) {
  if (machine().on_atomic != nullptr) machine().on_atomic(address, bytes);
}

void fail(std::string_view what) {
  Machine& m = machine();
  Thread& me = *m.current;
  {
    const Index& t = me.here.thread_index;
    std::ostringstream out;
    out << place(m, me.here.block_index) << ", thread (" << t.x << ',' << t.y << ',' << t.z << "): " << what;
    m.failure = out.str();
  }
  for (;;) give_way(*me.fiber);  // to the scheduler, for good
}

void fail_index(int64_t index, int64_t size) {
  std::array<char, 80> what{};
  std::snprintf(what.data(), what.size(), "index %lld of a tensor of %lld", static_cast<long long>(index),
                static_cast<long long>(size));
  fail(what.data());
}

}  // namespace emulator
