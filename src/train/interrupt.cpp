#include "train/interrupt.h"

namespace gmail {
namespace {

volatile std::sig_atomic_t requested_flag = 0;  // all that a signal handler may touch

extern "C" void note_request(int) { requested_flag = 1; }

}  // namespace

InterruptGuard::InterruptGuard() {
  requested_flag = 0;
  struct sigaction action {};
  action.sa_handler = note_request;
  action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &old_int_);
  sigaction(SIGTERM, &action, &old_term_);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &old_int_, nullptr);
  sigaction(SIGTERM, &old_term_, nullptr);
}

bool InterruptGuard::requested() const { return requested_flag != 0; }

std::string how_to_continue(const std::string& where, const std::string& command) {
  const bool has_flag = (command + " ").find(" --resume ") != std::string::npos;
  return concat("interrupted at ", where, "; continue with: ", command.empty() ? "the same command" : command,
                has_flag ? "" : " --resume");
}

}  // namespace gmail
