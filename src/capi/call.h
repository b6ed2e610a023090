// What every function of gmail.h begins and ends with: its arguments are checked, and what is thrown becomes
// a status and the thread's last error.
#pragma once

#include <cstdint>

#include "capi/gmail.h"
#include "core/check.h"

namespace gmail::capi {

// A call that is wrong, whatever the files say.
class ArgumentError : public Error {
 public:
  using Error::Error;
};

template <class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) throw ArgumentError(concat(parts...));
}

// The status of the exception being handled; its message, after `function`, becomes the last error.
[[nodiscard]] gmail_status caught(const char* function) noexcept;

template <class Body>
[[nodiscard]] gmail_status guarded(const char* function, const Body& body) noexcept {
  try {
    body();
    return GMAIL_OK;
  } catch (...) {
    return caught(function);
  }
}

// Handles begin with their kind, so that one cannot be taken for another.
enum class Kind : uint64_t {
  model = 0x6c65646f4d696c67,
  captioner = 0x6e6f697470614369,
  captions = 0x736e6f6974706163,
};

template <class T>
T& checked(T* handle, const char* name) {
  require(handle != nullptr, name, " is null");
  require(handle->kind == T::kKind, name, " is a handle of another kind");
  return *handle;
}

template <class T>
void check_array(const T* array, size_t n, const char* name) {
  require(n == 0 || array != nullptr, name, " is null, of ", n);
}

// The elements of n rows; a count that no memory holds is refused.
[[nodiscard]] size_t elements(size_t n, size_t width, const char* name);

}  // namespace gmail::capi
