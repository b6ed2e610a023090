#include "devices.h"

#include "core/device_memory.h"

#if GMAIL_EMULATED
#include "emulator.h"
#endif

namespace gmail::test {

#if GMAIL_CUDA
bool has_device() { return cuda::why_unusable().empty(); }
const Context& device_context() {
  static const Context ctx{Device::cuda, cuda::make_stream(), DType::float32,
                           std::make_shared<Arena>(Device::cuda)};
  return ctx;
}
#else
bool has_device() { return false; }
const Context& device_context() { throw Error("this build has no CUDA backend"); }
#endif

std::string device_name() {
#if GMAIL_EMULATED
  return concat("cuda, schedule ", static_cast<int>(emulator::schedule()), ",");
#else
  return "cuda";
#endif
}

void on_the_device(const std::function<void(const Context&)>& f) {
  if (!has_device()) return;
#if GMAIL_EMULATED
  for (const auto schedule : {emulator::Schedule::round_robin, emulator::Schedule::greedy_forward,
                              emulator::Schedule::greedy_reverse}) {
    emulator::set_schedule(schedule);
    f(device_context());
  }
#else
  f(device_context());
#endif
}

void on_each_device(const std::function<void(const Context&)>& f) {
  f(Context());
  on_the_device(f);
}

}  // namespace gmail::test
