// Tensor: a value type over shared storage. Row-major and always contiguous; views (reshape, rows) share the
// storage. A default-constructed Tensor is "absent": ops take it for an optional argument that was not given.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/arena.h"
#include "core/device.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace gmail {

struct KeptCopies;

// Owns one block of memory and gives it back to where it came from.
class Storage {
 public:
  Storage(size_t bytes, Device device, std::shared_ptr<Arena> arena);
  // The CPU's memory of somebody else, a mapped file: `owner` keeps it alive, and nobody may write to it.
  Storage(std::span<const std::byte> outside, std::shared_ptr<const void> owner);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] size_t bytes() const { return bytes_; }
  [[nodiscard]] bool read_only() const { return owner_ != nullptr; }
  [[nodiscard]] Device device() const { return device_; }

  // A constant storage never changes again (a frozen weight), so an op may keep rearranged copies with it:
  // core/kept_copy.h.
  bool constant = false;
  std::shared_ptr<KeptCopies> copies;

 private:
  size_t bytes_;
  Device device_;
  std::shared_ptr<Arena> arena_;  // null: the heap
  AlignedBytes memory_;           // null: the owner's
  std::shared_ptr<const void> owner_;
  std::byte* data_;
};

class Tensor {
 public:
  Tensor() = default;
  // Contents undefined. With an arena the memory returns to its free lists when the last handle goes.
  [[nodiscard]] static Tensor empty(const Shape& shape, DType dtype = DType::float32,
                                    Device device = Device::cpu, std::shared_ptr<Arena> arena = nullptr);
  [[nodiscard]] static Tensor zeros(const Shape& shape, DType dtype = DType::float32,
                                    Device device = Device::cpu, std::shared_ptr<Arena> arena = nullptr);
  [[nodiscard]] static Tensor full(const Shape& shape, double value, DType dtype = DType::float32);
  // The elements that lie at `bytes`, not copied: a constant tensor, which keeps `owner` alive.
  [[nodiscard]] static Tensor over(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                   const Shape& shape, DType dtype);
  template <class T>
  [[nodiscard]] static Tensor from(std::span<const T> values, const Shape& shape);
  template <class T>
  [[nodiscard]] static Tensor from(const std::vector<T>& values, const Shape& shape) {
    return from(std::span<const T>(values), shape);
  }

  [[nodiscard]] bool defined() const { return storage_ != nullptr; }
  explicit operator bool() const { return defined(); }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] int64_t size(int dim) const { return shape_[dim]; }
  [[nodiscard]] int rank() const { return shape_.rank(); }
  [[nodiscard]] int64_t numel() const { return numel_; }
  [[nodiscard]] DType dtype() const { return dtype_; }
  [[nodiscard]] Device device() const { return storage_ ? storage_->device() : Device::cpu; }
  [[nodiscard]] size_t bytes() const { return static_cast<size_t>(numel_ * size_of(dtype_)); }
  [[nodiscard]] Storage& storage() const { return *storage_; }
  [[nodiscard]] bool sole() const { return storage_.use_count() == 1; }  // no other handle on the memory

  // Typed pointer to the first element; throws if T is not the dtype or the memory is not the CPU's. Only a
  // const tensor gives one into memory that nobody may write.
  template <class T>
  [[nodiscard]] T* data() {
    check_type(dtype_of<T>::value);
    check_writable();
    return reinterpret_cast<T*>(raw());
  }
  template <class T>
  [[nodiscard]] const T* data() const {
    check_type(dtype_of<T>::value);
    return reinterpret_cast<const T*>(raw());
  }
  template <class T>
  [[nodiscard]] std::span<T> span() {
    return {data<T>(), static_cast<size_t>(numel_)};
  }
  template <class T>
  [[nodiscard]] std::span<const T> span() const {
    return {data<T>(), static_cast<size_t>(numel_)};
  }
  [[nodiscard]] std::byte* raw() const { return storage_->data() + offset_; }  // on its device

  [[nodiscard]] Tensor reshape(const Shape& shape) const;  // same elements, shared storage
  [[nodiscard]] Tensor rows(int64_t begin,
                            int64_t end) const;  // dimension 0 from begin to end, shared storage
  [[nodiscard]] Tensor clone() const;            // own copy on the heap
  [[nodiscard]] Tensor to(DType dtype) const;    // converted copy; *this if it has the dtype already
  [[nodiscard]] Tensor to(Device device) const;  // copy on that device; *this if it lies there already
  void copy_from(const Tensor& source);          // same number of elements, any device; converts the dtype
  void fill(double value);
  [[nodiscard]] double item() const;         // the value of a one-element tensor
  [[nodiscard]] double at(int64_t i) const;  // element i of the flat tensor, as double
  [[nodiscard]] bool all_finite() const;

 private:
  void check_type(DType wanted) const;
  void check_writable() const;
  std::shared_ptr<Storage> storage_;
  Shape shape_;
  int64_t numel_ = 0;
  size_t offset_ = 0;  // bytes
  DType dtype_ = DType::float32;
};

template <class T>
Tensor Tensor::from(std::span<const T> values, const Shape& shape) {
  GMAIL_CHECK(static_cast<int64_t>(values.size()) == shape.numel(), "[tensor] ", values.size(),
              " values for shape ", shape.str());
  Tensor t = empty(shape, dtype_of<T>::value);
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

}  // namespace gmail
