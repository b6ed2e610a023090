#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator {
namespace {
constexpr size_t kPage = 4096;
}

#if defined(__x86_64__)
// Keeps what the System V ABI says a function must keep, changes the stack, takes it back from there.
extern "C" void emulator_switch(void** keep, void* go_to);
asm(R"(
  .text
  .globl emulator_switch
  .type emulator_switch, @function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size emulator_switch, .-emulator_switch
  .globl emulator_begin
  .type emulator_begin, @function
emulator_begin:
  movq %rbx, %rdi
  callq *%r12
  ud2
  .size emulator_begin, .-emulator_begin
)");
extern "C" void emulator_begin();
#endif

Fiber::Fiber(size_t stack_bytes, Entry entry, void* argument)
    : size_(stack_bytes), own_(true), entry_(entry), argument_(argument) {
  void* memory = mmap(nullptr, size_ + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kPage, PROT_NONE);
  stack_ = static_cast<std::byte*>(memory) + kPage;
#if defined(__x86_64__)
  // as emulator_switch leaves a stack: r15 r14 r13 r12 rbx rbp, where to return to; then 16-byte aligned
  // for the call
  auto* top = reinterpret_cast<void**>(static_cast<std::byte*>(stack_) + size_);
  void** p = top - 9;
  for (int i = 0; i < 9; ++i) p[i] = nullptr;
  p[3] = reinterpret_cast<void*>(&Fiber::begin);
  p[4] = this;
  p[6] = reinterpret_cast<void*>(&emulator_begin);
  pointer_ = p;
#else
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_;
  context_.uc_stack.ss_size = size_;
  context_.uc_link = nullptr;
  const auto address = reinterpret_cast<uintptr_t>(this);
  makecontext(&context_, reinterpret_cast<void (*)()>(+[](unsigned high, unsigned low) {
    begin(reinterpret_cast<Fiber*>(static_cast<uintptr_t>(high) << 32U | low));
  }),
              2, static_cast<unsigned>(address >> 32U), static_cast<unsigned>(address));
#endif
}

Fiber::~Fiber() {
  if (!own_) return;
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(stack_, size_);  // for who gets these addresses next
#endif
  munmap(static_cast<std::byte*>(stack_) - kPage, size_ + kPage);
}

bool Fiber::holds(const void* address) const {
  const auto* p = static_cast<const std::byte*>(address);
  return p >= stack_ && p < static_cast<const std::byte*>(stack_) + size_;
}

void Fiber::begin(Fiber* self) {
#if defined(__SANITIZE_ADDRESS__)
  Fiber* from = self->came_from_;
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  if (from->stack_ == nullptr) {  // the thread's own stack: its borders are known only now
    from->stack_ = const_cast<void*>(bottom);
    from->size_ = size;
  }
#endif
  self->entry_(self->argument_);
  std::abort();
}

void Fiber::resume_from(Fiber& from) {
  came_from_ = &from;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack_, stack_, size_);
#endif
#if defined(__x86_64__)
  emulator_switch(&from.pointer_, pointer_);
#else
  swapcontext(&from.context_, &context_);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake_stack_, nullptr, nullptr);
#endif
}

}  // namespace emulator
