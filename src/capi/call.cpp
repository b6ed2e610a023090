#include "capi/call.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <new>

#include "core/build_info.h"
#include "core/parallel_for.h"

namespace gmail::capi {
namespace {

// No string: what reports that memory is short must not ask for any.
std::array<char, 2048>& last_error() {
  thread_local std::array<char, 2048> message{};
  return message;
}

void keep(const char* function, const char* what) {
  std::snprintf(last_error().data(), last_error().size(), "%s: %s", function, what);
}

}  // namespace

gmail_status caught(const char* function) noexcept {
  gmail_status status = GMAIL_ERROR;
  try {
    throw;
  } catch (const std::bad_alloc&) {
    keep(function, "out of memory");
    status = GMAIL_ERROR_MEMORY;
  } catch (const ArgumentError& e) {
    keep(function, e.what());
    status = GMAIL_ERROR_ARGUMENT;
  } catch (const InputError& e) {
    keep(function, e.what());
    status = GMAIL_ERROR_INPUT;
  } catch (const std::exception& e) {
    keep(function, e.what());
  } catch (...) {
    keep(function, "an unknown exception");
  }
  return status;
}

size_t elements(size_t n, size_t width, const char* name) {
  constexpr size_t kMost = size_t{1} << 44U;
  require(width >= 1, name, ": a width of 0");
  require(width <= kMost && n <= kMost / width, name, ": ", n, " rows of ", width, " numbers");
  return n * width;
}

}  // namespace gmail::capi

using namespace gmail::capi;

const char* gmail_version(void) {
  static const std::string version = gmail::build_info().version;
  return version.c_str();
}

const char* gmail_last_error(void) { return last_error().data(); }

gmail_status gmail_set_num_threads(int32_t threads) {
  constexpr int32_t kMost = 4096;
  return guarded("gmail_set_num_threads", [&] {
    require(threads >= 0 && threads <= kMost, "threads: expected 0 .. ", kMost, ", found ", threads);
    gmail::set_num_threads(threads);
  });
}

int32_t gmail_num_threads(void) {
  int32_t threads = 1;
  (void)guarded("gmail_num_threads", [&] { threads = gmail::num_threads(); });
  return threads;
}
