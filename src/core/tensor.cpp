#include "core/tensor.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/dispatch.h"

namespace gmail {

Storage::Storage(size_t bytes, Device device, std::shared_ptr<Arena> arena)
    : bytes_(bytes),
      device_(device),
      arena_(std::move(arena)),
      memory_(arena_ ? arena_->take(bytes) : aligned_bytes(bytes, device)),
      data_(memory_.get()) {}

Storage::Storage(std::span<const std::byte> outside, std::shared_ptr<const void> owner)
    : constant(true),
      bytes_(outside.size()),
      device_(Device::cpu),
      owner_(std::move(owner)),
      data_(const_cast<std::byte*>(outside.data())) {}

Storage::~Storage() {
  if (arena_) arena_->give_back(std::move(memory_), bytes_);
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device, std::shared_ptr<Arena> arena) {
  Tensor t;
  t.shape_ = shape;
  t.numel_ = shape.numel();
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>(t.bytes(), device, std::move(arena));
  return t;
}

namespace {
// Zeroes the process's own memory by asking the system for new pages where there are many: they take no room
// before they are written, and the parameters of a model that is to be loaded never are.
void zero_pages(std::byte* p, size_t bytes) {
  constexpr size_t kMany = size_t{1} << 20U;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t first = (page - reinterpret_cast<uintptr_t>(p) % page) % page;
  const size_t whole = bytes < kMany ? 0 : (bytes - first) / page * page;
  if (whole == 0 || madvise(p + first, whole, MADV_DONTNEED) != 0) return zero_bytes(p, Device::cpu, bytes);
  zero_bytes(p, Device::cpu, first);
  zero_bytes(p + first + whole, Device::cpu, bytes - first - whole);
}
}  // namespace

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device, std::shared_ptr<Arena> arena) {
  const bool heap = !arena && device == Device::cpu;
  Tensor t = empty(shape, dtype, device, std::move(arena));
  if (heap)
    zero_pages(t.raw(), t.bytes());
  else
    zero_bytes(t.raw(), device, t.bytes());
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor t = empty(shape, dtype);
  t.fill(value);
  return t;
}

Tensor Tensor::over(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, const Shape& shape,
                    DType dtype) {
  Tensor t;
  t.shape_ = shape;
  t.numel_ = shape.numel();
  t.dtype_ = dtype;
  GMAIL_CHECK(owner && bytes.size() == t.bytes() &&
                  reinterpret_cast<uintptr_t>(bytes.data()) % static_cast<size_t>(size_of(dtype)) == 0,
              "[tensor] ", bytes.size(), " bytes at ", bytes.data(), " are no ", shape, " of ",
              name_of(dtype));
  t.storage_ = std::make_shared<Storage>(bytes, std::move(owner));
  return t;
}

Tensor Tensor::reshape(const Shape& shape) const {
  GMAIL_CHECK(shape.numel() == numel_, "[reshape] from ", shape_, " to ", shape);
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  GMAIL_CHECK(rank() >= 1 && 0 <= begin && begin <= end && end <= size(0), "[rows] ", begin, " to ", end,
              " of ", shape_);
  Tensor t = *this;
  t.shape_ = shape_.with(0, end - begin);
  t.numel_ = t.shape_.numel();
  const int64_t row = size(0) == 0 ? 0 : numel_ / size(0);
  t.offset_ += static_cast<size_t>(begin * row * size_of(dtype_));
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, dtype_, device());
  copy_bytes(t.raw(), device(), raw(), device(), bytes());
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor t = empty(shape_, dtype, device());
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(Device device) const {
  if (!defined() || device == this->device()) return *this;
  Tensor t = empty(shape_, dtype_, device);
  t.copy_from(*this);
  return t;
}

namespace {
template <class F>
void with_any_type(DType t, F&& f) {
  switch (t) {
    case DType::float32:
      return f(float{});
    case DType::bfloat16:
      return f(bfloat16{});
    case DType::float64:
      return f(double{});
    case DType::int32:
      return f(int32_t{});
  }
}
template <class T>
double as_double(T v) {
  if constexpr (std::is_same_v<T, bfloat16>)
    return static_cast<double>(static_cast<float>(v));
  else
    return static_cast<double>(v);
}
template <class T>
T from_double(double v) {
  if constexpr (std::is_same_v<T, bfloat16>)
    return bfloat16(static_cast<float>(v));
  else
    return static_cast<T>(v);
}
}  // namespace

void Tensor::copy_from(const Tensor& source) {
  GMAIL_CHECK(source.numel() == numel_, "[copy] from ", source.shape(), " to ", shape_);
  check_writable();
  if (source.dtype() == dtype_) {
    copy_bytes(raw(), device(), source.raw(), source.device(), bytes());
    return;
  }
  if (source.device() != device()) return copy_from(source.to(device()));
  if (device() == Device::cuda) {
    GMAIL_CUDA_ONLY(convert(raw(), dtype_, source.raw(), source.dtype(), numel_));
    return;
  }
  with_any_type(dtype_, [&](auto to) {
    with_any_type(source.dtype(), [&](auto from) {
      const auto* in = source.data<decltype(from)>();
      auto* out = data<decltype(to)>();
      for (int64_t i = 0; i < numel_; ++i) out[i] = from_double<decltype(to)>(as_double(in[i]));
    });
  });
}

void Tensor::fill(double value) {
  check_writable();
  if (device() == Device::cuda) {
    GMAIL_CUDA_ONLY(fill(raw(), dtype_, value, numel_));
    return;
  }
  with_any_type(dtype_,
                [&](auto t) { std::fill_n(data<decltype(t)>(), numel_, from_double<decltype(t)>(value)); });
}

double Tensor::at(int64_t i) const {
  GMAIL_CHECK(i >= 0 && i < numel_, "[tensor] element ", i, " of ", shape_);
  double value = 0;
  const Tensor one = device() == Device::cpu ? *this : reshape({numel_}).rows(i, i + 1).to(Device::cpu);
  const int64_t j = device() == Device::cpu ? i : 0;
  with_any_type(dtype_, [&](auto t) { value = as_double(one.data<decltype(t)>()[j]); });
  return value;
}

double Tensor::item() const {
  GMAIL_CHECK(numel_ == 1, "[item] expected one element, got ", shape_);
  return at(0);
}

bool Tensor::all_finite() const {
  if (device() != Device::cpu) return to(Device::cpu).all_finite();
  bool finite = true;
  with_any_type(dtype_, [&](auto t) {
    const auto* p = data<decltype(t)>();
    for (int64_t i = 0; i < numel_; ++i) finite = finite && std::isfinite(as_double(p[i]));
  });
  return finite;
}

void Tensor::check_writable() const {
  GMAIL_CHECK(defined() && !storage_->read_only(), "[tensor] ", shape_, ": a tensor over a file was written");
}

void Tensor::check_type(DType wanted) const {
  GMAIL_CHECK(defined(), "[tensor] an absent tensor was read");
  GMAIL_CHECK(device() == Device::cpu, "[tensor] the CPU read a tensor that lies on ", name_of(device()));
  GMAIL_CHECK(dtype_ == wanted, "[tensor] expected ", name_of(wanted), ", got ", name_of(dtype_));
}

}  // namespace gmail
