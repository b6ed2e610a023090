#include "core/context.h"

#include "core/dispatch.h"

namespace gmail {

Context make_cuda_context(DType precision) {
  const std::string missing = why_no_cuda();
  GMAIL_CHECK(missing.empty(), missing);
  return {Device::cuda, GMAIL_CUDA_OR(make_stream(), Stream{}), precision,
          std::make_shared<Arena>(Device::cuda)};
}

Tensor Context::zeros(const Shape& shape, DType dtype) const {
  Tensor t = empty(shape, dtype);
  if (device == Device::cuda)
    GMAIL_CUDA_ONLY(zero(t.raw(), t.bytes(), stream));
  else
    zero_bytes(t.raw(), device, t.bytes());
  return t;
}

Tensor Context::full(const Shape& shape, double value, DType dtype) const {
  Tensor t = empty(shape, dtype);
  fill(t, value);
  return t;
}

void Context::fill(Tensor& t, double value) const {
  if (t.device() == Device::cuda)
    GMAIL_CUDA_ONLY(fill(t.raw(), t.dtype(), value, t.numel(), stream));
  else
    t.fill(value);
}

Tensor Context::here(const Tensor& t) const {
  if (!t || t.device() == device) return t;
  if (device == Device::cpu) return t.to(device);
  Tensor there = empty(t.shape(), t.dtype());
  GMAIL_CUDA_ONLY(upload(there.raw(), t.raw(), t.bytes(), stream));
  return there;
}

void Context::put(Tensor& there, const Tensor& t) const {
  if (device == Device::cpu) {
    there = t.to(device);
    return;
  }
  if (!there) there = Tensor::empty(t.shape(), t.dtype(), device);
  GMAIL_CHECK(there.shape() == t.shape() && there.dtype() == t.dtype(), "[put] ", t.shape(), " of ",
              name_of(t.dtype()), " into ", there.shape(), " of ", name_of(there.dtype()));
  if (t.device() == device)
    GMAIL_CUDA_ONLY(copy_on(there.raw(), t.raw(), t.bytes(), stream));
  else
    GMAIL_CUDA_ONLY(upload(there.raw(), t.raw(), t.bytes(), stream));
}

}  // namespace gmail
