// Runs a CUDA kernel on the CPU, thread by thread: every thread of a block is a fiber that runs until it
// must wait for its warp or its block. Which one runs next is the schedule's choice:
//   round_robin      all threads of the block in turn
//   greedy_forward   a warp runs as far as it can before the next one does
//   greedy_reverse   the same from the last lane of the last warp of the last block
// A missing barrier goes unnoticed in the first and shows in one of the others. One thread of the
// operating system does it all, so `__shared__` is `static`, and AddressSanitizer sees its borders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace emulator {

enum class Schedule : uint8_t { round_robin, greedy_forward, greedy_reverse };
void set_schedule(Schedule schedule);
[[nodiscard]] Schedule schedule();

// What a GPU would do silently or not at all: a barrier that not all threads reach, lanes that disagree.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Index {
  unsigned x = 1, y = 1, z = 1;
};

struct Launch {
  std::string name;
  Index grid, block;
  size_t shared_bytes = 0;  // dynamic shared memory
  std::function<void()> kernel;
};
void run(const Launch& launch);  // throws Failure
// what cuda/launch.h calls; the name is the file and line of the launch
void launch(void* stream, const char* file, unsigned line, Index grid, Index block, size_t shared_bytes,
            std::function<void()> kernel);

// --- called by the running thread ---
struct Here {
  Index grid, block, block_index, thread_index;
  unsigned lane = 0;    // of its warp
  unsigned number = 0;  // in its block
};
[[nodiscard]] const Here& here();
[[nodiscard]] void* dynamic_shared();  // exactly shared_bytes, all bits set: a float nobody wrote is NaN
void sync_block();
// All 32 lanes come here with something each; the last one calls act on it all, and they go on.
using Act = void (*)(void* const (&lanes)[32]);
void sync_warp(unsigned mask, void* mine, Act act);

// --- for the race detector ---
struct
    Moment {  // two accesses of one place by different threads are ordered if a barrier of both lies between
  uint64_t launch = 0;
  uint64_t block = 0;
  unsigned thread = 0, warp = 0;
  uint64_t block_epoch = 0, warp_epoch = 0;
};
[[nodiscard]] bool running();  // inside a kernel?
[[nodiscard]] Moment moment();
[[nodiscard]] bool on_a_stack(const void* address);  // of any thread: lanes hand each other theirs
[[nodiscard]] bool in_shared(const void* address);   // of the running block: dynamic or `static`
using OnAtomic = void (*)(const void* address, size_t bytes);
void set_on_atomic(OnAtomic on_atomic);
void on_atomic(const void* address, size_t bytes);  // called before every atomic
// Ends the launch with Failure. The stack of the thread is left as it is, so what must own nothing.
[[noreturn]] void fail(std::string_view what);
[[noreturn]] void fail_index(int64_t index, int64_t size);

// --- the runtime (cuda_runtime.cpp) ---
// Work on a stream, null the default one: done at once, or kept for the graph that records the stream.
// While one does, the default stream may not be used: that throws Failure, as it would end the recording on a
// GPU.
void enqueue(void* stream, std::function<void()> work);

// What a step of training must not do, counted since the program began.
struct Counts {
  int64_t allocations = 0;        // of device memory, or of pinned host memory
  int64_t synchronisations = 0;   // waits for a stream or the device; one for an event is none
  int64_t pageable_copies = 0;    // from or to host memory that is not pinned: they wait for the stream
  int64_t on_default_stream = 0;  // kernels, copies, fills: every other stream waits for them
  int64_t graphs = 0;             // launches of a graph
};
[[nodiscard]] const Counts& counts();

// Device memory that is left; a test of what happens when it ends sets it.
void set_free_memory(size_t bytes);

void set_virtual_clock(bool on);  // events see what passes by pass_time alone
void pass_time(double ms);
void set_capturing(bool on);           // streams say that they record a graph
[[nodiscard]] size_t shared_memory();  // that a block can have: an H200's, unless set
void set_shared_memory(size_t bytes);
[[nodiscard]] int last_algorithm();  // of the last product (cublas_lt.cpp)

}  // namespace emulator
