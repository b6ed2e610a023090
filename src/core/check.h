// Errors. Everything that can go wrong throws one of these; only main() catches.
//   Error       a failed check or a failed system call                  exit code 1
//   InputError  bad usage, a bad file, a bad field: the user can mend it  exit code 2
// Messages name the place, what was expected and what was found: `[matmul] inner dimensions differ: a
// (8,64), b (128,32)`.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace gmail {

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
  [[nodiscard]] virtual int exit_code() const { return 1; }
};

class InputError : public Error {
 public:
  explicit InputError(const std::string& message) : Error(message) {}
  [[nodiscard]] int exit_code() const override { return 2; }
};

// concat("a ", 1, " b") == "a 1 b": the one way in which messages are put together.
template <class... Parts>
[[nodiscard]] std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace gmail

// Always on. GMAIL_CHECK guards calls (a wrong shape), GMAIL_INPUT guards what the user gave (a wrong file).
#define GMAIL_CHECK(condition, ...)                                       \
  do {                                                                    \
    if (!(condition)) throw ::gmail::Error(::gmail::concat(__VA_ARGS__)); \
  } while (false)
#define GMAIL_INPUT(condition, ...)                                            \
  do {                                                                         \
    if (!(condition)) throw ::gmail::InputError(::gmail::concat(__VA_ARGS__)); \
  } while (false)
