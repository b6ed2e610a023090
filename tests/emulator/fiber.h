// Fibers: stacks that a single thread of the operating system switches between. One CUDA thread that
// waits is one fiber. On x86-64 a switch is a dozen instructions; elsewhere ucontext does it.
#pragma once

#include <cstddef>
#include <memory>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {

class Fiber {
 public:
  using Entry = void (*)(void*);
  Fiber() = default;                                       // the stack that is running now
  Fiber(size_t stack_bytes, Entry entry, void* argument);  // entry must never return
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Leaves `from`, which must be the running one, and goes on where this one left, or at its entry.
  void resume_from(Fiber& from);
  [[nodiscard]] const void* stack() const { return stack_; }
  [[nodiscard]] bool holds(const void* address) const;

 private:
  [[noreturn]] static void begin(Fiber* self);
  void* stack_ = nullptr;  // lowest address, after a page that nobody may touch
  size_t size_ = 0;
  bool own_ = false;
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
  Fiber* came_from_ = nullptr;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
#if defined(__x86_64__)
  void* pointer_ = nullptr;
#else
  ucontext_t context_{};
#endif
};

}  // namespace emulator
