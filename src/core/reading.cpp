#include "core/reading.h"

#include <cstring>

#include "core/dispatch.h"

namespace gmail {

Reading::Reading([[maybe_unused]] const Context& ctx, const Tensor& t) : dtype_(t.dtype()) {
  GMAIL_CHECK(t.numel() == 1, "[reading] expected one element, got ", t.shape());
  if (t.device() == Device::cpu)
    value_ = t.clone();
  else
    GMAIL_CUDA_ONLY(download(copy_, t.raw(), t.bytes(), ctx.stream));
}

double Reading::get() const {
  if (value_) return value_.item();
  GMAIL_CHECK(copy_ != nullptr, "[reading] nothing was read");
  Tensor host = Tensor::empty({1}, dtype_);
  const void* bytes = GMAIL_CUDA_ONLY(arrived(*copy_));
  std::memcpy(host.raw(), bytes, host.bytes());
  return host.item();
}

}  // namespace gmail
