#include "io/safetensors.h"

#include <cstring>
#include <utility>

#include "io/half.h"

namespace gmail {
namespace {

constexpr size_t kLengthBytes = 8;

uint64_t little_endian(std::span<const std::byte> bytes) {
  uint64_t n = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) n |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  return n;
}

// An element of BOOL and of F16 as they lie in the file.
enum class StoredBool : uint8_t {};
enum class StoredHalf : uint16_t {};

// Calls f(T{}) with what an element of this type is in C++; false for the types that are not read.
template <class F>
bool with_stored_type(std::string_view dtype, F&& f) {
  if (dtype == "F16") return f(StoredHalf{}), true;
  if (dtype == "BOOL") return f(StoredBool{}), true;
  if (dtype == "U8") return f(uint8_t{}), true;
  if (dtype == "I8") return f(int8_t{}), true;
  if (dtype == "U16") return f(uint16_t{}), true;
  if (dtype == "I16") return f(int16_t{}), true;
  if (dtype == "U32") return f(uint32_t{}), true;
  if (dtype == "I32") return f(int32_t{}), true;
  if (dtype == "U64") return f(uint64_t{}), true;
  if (dtype == "I64") return f(int64_t{}), true;
  return false;
}

// The type whose bytes are the same in memory as in the file; false for the others.
bool same_in_memory(std::string_view dtype, DType& type) {
  if (dtype == "F32") return type = DType::float32, true;
  if (dtype == "BF16") return type = DType::bfloat16, true;
  if (dtype == "F64") return type = DType::float64, true;
  if (dtype == "I32") return type = DType::int32, true;
  return false;
}

// The numbers of type T at `bytes` as int32, halves as float32.
template <class T>
Tensor converted(std::span<const std::byte> bytes, const Shape& shape) {
  constexpr bool kHalf = std::is_same_v<T, StoredHalf>;
  using Number = std::conditional_t<kHalf, float, int32_t>;
  Tensor t = Tensor::empty(shape, dtype_of<Number>::value);
  const std::byte* from = bytes.data();
  for (Number& x : t.span<Number>()) {
    T stored{};
    std::memcpy(&stored, from, sizeof stored);
    from += sizeof stored;
    if constexpr (kHalf) {
      x = half_to_float(static_cast<uint16_t>(stored));
    } else if constexpr (std::is_same_v<T, StoredBool>) {
      x = static_cast<int32_t>(stored);
      GMAIL_INPUT(x <= 1, "holds ", x, ", expected 0 or 1");
    } else {
      x = static_cast<int32_t>(stored);
      GMAIL_INPUT(std::in_range<int32_t>(stored), "holds ", +stored, ", which does not fit in int32");
    }
  }
  return t;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : path_(path), file_(std::make_shared<const MappedFile>(path)) {
  const auto bytes = file_->bytes();
  try {
    GMAIL_INPUT(bytes.size() >= kLengthBytes, "expected a header, the file has ", bytes.size(), " bytes");
    const uint64_t length = little_endian(bytes);
    GMAIL_INPUT(length <= kMaxSafetensorsHeader, "the header claims ", length, " bytes, at most ",
                kMaxSafetensorsHeader, " are allowed");
    GMAIL_INPUT(length <= bytes.size() - kLengthBytes, "the header claims ", length,
                " bytes, the file ends before");
    data_begin_ = kLengthBytes + length;
    header_ = std::make_shared<const SafetensorsHeader>(parse_safetensors_header(
        {reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length}, bytes.size() - data_begin_));
  } catch (const InputError& e) {
    throw InputError(concat("[safetensors] ", path_.string(), ": ", e.what()));
  }
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, e] : header_->tensors) names.push_back(name);
  return names;
}

const SafetensorsEntry& SafetensorsFile::entry(const std::string& name) const {
  const auto found = header_->tensors.find(name);
  GMAIL_INPUT(found != header_->tensors.end(), "[safetensors] ", path_.string(), ": no tensor '", name, "'");
  return found->second;
}

std::span<const std::byte> SafetensorsFile::bytes_of(const SafetensorsEntry& e) const {
  return file_->bytes().subspan(data_begin_ + e.begin, e.end - e.begin);
}

Tensor SafetensorsFile::read(const std::string& name) const {
  const SafetensorsEntry& e = entry(name);
  const auto bytes = bytes_of(e);
  Tensor t;
  DType type{};
  if (same_in_memory(e.dtype, type)) {
    t = Tensor::empty(e.shape, type);
    if (!bytes.empty()) std::memcpy(t.raw(), bytes.data(), bytes.size());
    return t;
  }
  try {
    const bool known =
        with_stored_type(e.dtype, [&](auto stored) { t = converted<decltype(stored)>(bytes, e.shape); });
    GMAIL_INPUT(known, "has dtype ", e.dtype, ", which this program does not read");
  } catch (const InputError& error) {
    throw InputError(concat("[safetensors] ", path_.string(), ": tensor '", name, "' ", error.what()));
  }
  return t;
}

Tensor SafetensorsFile::read(const std::string& name, DType dtype) const { return read(name).to(dtype); }

Tensor SafetensorsFile::view(const std::string& name, DType dtype) const {
  const SafetensorsEntry& e = entry(name);
  const auto bytes = bytes_of(e);
  DType type{};
  const bool in_place = same_in_memory(e.dtype, type) && type == dtype &&
                        reinterpret_cast<uintptr_t>(bytes.data()) % static_cast<size_t>(size_of(type)) == 0;
  return in_place ? Tensor::over(bytes, file_, e.shape, type) : read(name, dtype);
}

}  // namespace gmail
