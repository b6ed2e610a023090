#include "dnn_ops.h"

#include <mutex>

#include "temporary.h"

namespace gmail::cuda {
namespace dnn {
namespace {

struct Record {
  std::mutex mutex;
  std::map<std::string, std::string> reasons;
};
Record& record() {
  static Record r;
  return r;
}

constexpr int kThreads = 256;

template <class T>
__global__ void add_kernel(GradSpan<T> to, DeviceSpan<const T> from, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) to.put(i, load(from[i]));
}

}  // namespace

bool fell_back(const std::string& what, const std::string& why) {
  const std::lock_guard lock(record().mutex);
  std::string& reasons = record().reasons[what];
  if (reasons.find(why) == std::string::npos) reasons += (reasons.empty() ? "" : "; ") + why;
  return false;
}

Tensor target(const Grad& g, const Shape& shape, DType type, Stream stream) {
  return g && !g.add && aligned(g.t) ? g.t : temporary(shape, type, stream);
}

void add(Grad g, const Tensor& t, Stream stream) {
  if (!g || g.t.raw() == t.raw()) return;
  with_device_type(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, add_kernel<T>, blocks_for(t.numel(), kThreads), kThreads, 0, grad<T>(g), span<T>(t),
           t.numel());
  });
}

}  // namespace dnn

std::map<std::string, std::string> cudnn_fallbacks() {
  const std::lock_guard lock(dnn::record().mutex);
  return dnn::record().reasons;
}

}  // namespace gmail::cuda
