// Where a test runs: on the CPU, and in a build with the CUDA backend on the device as well, under each
// schedule of the emulator if it is emulated.
#pragma once

#include <functional>
#include <string>

#include "core/context.h"

namespace gmail::test {

[[nodiscard]] bool has_device();
[[nodiscard]] const Context& device_context();  // float32, on a stream of its own
[[nodiscard]] std::string device_name();        // "cuda", and the emulator's schedule

// on the device alone, once for each schedule
void on_the_device(const std::function<void(const Context&)>& f);
// on the CPU, then as above
void on_each_device(const std::function<void(const Context&)>& f);

}  // namespace gmail::test
