// Ctrl-C (SIGINT) and SIGTERM as a wish instead of an end: a long job finishes its step, saves, and says how
// to go on.
#pragma once

#include <csignal>
#include <string>

#include "core/check.h"

namespace gmail {

// The job stopped because it was asked to; what was done is saved. Exit code 128 + SIGINT.
class Interrupted : public Error {
 public:
  explicit Interrupted(const std::string& message) : Error(message) {}
  [[nodiscard]] int exit_code() const override { return 130; }
};

// While it lives, the first signal only sets a flag; the second one ends the program as usual.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  [[nodiscard]] bool requested() const;

 private:
  struct sigaction old_int_ {
  }, old_term_{};
};

// "interrupted at step 12; continue with: gmail pretrain ... --resume"; `command` may be empty or have
// --resume already.
[[nodiscard]] std::string how_to_continue(const std::string& where, const std::string& command);

}  // namespace gmail
