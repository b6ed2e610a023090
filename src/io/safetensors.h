// safetensors (github.com/huggingface/safetensors): u64 little-endian N, N bytes of JSON, then one byte
// buffer.
//   {"__metadata__": {string: string}, NAME: {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]},
//   ...}
// The tensors tile the buffer in order of their offsets. The writer puts larger alignment first, then sorts
// by name, and pads the header with spaces to a multiple of 8, so equal content is equal bytes.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "core/tensor.h"
#include "io/files.h"
#include "io/safetensors_header.h"

namespace gmail {

// How a tensor is stored: `as` is a type of the format that its values can have, "" is its own. float32,
// float64 and bfloat16 go into F64, F32, F16 and BF16; int32 into I32, I64, I16, I8, U64, U32, U16, U8 and
// BOOL, if every value fits.
struct NamedTensor {
  std::string name;
  Tensor tensor;
  std::string as = "";
};
using Metadata = std::map<std::string, std::string>;

// How float32 tensors without an `as` are stored; other types stay as they are.
enum class StoreAs : uint8_t { as_is, float16, bfloat16 };

// Atomic (see write_atomically). Names must differ. Floats are rounded; a value that is beyond the type's
// range is an Error (float16: 65520 and more, where it is finite).
void save_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata = {}, StoreAs store = StoreAs::as_is);

// Opening checks the whole header: size (at most 100 MB), JSON, duplicate keys, known dtypes, shapes (rank <=
// 6), and that the tensors tile the data without gap or overlap. Anything else is an InputError that names
// file and tensor. A copy is another handle on the same mapping.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const Metadata& metadata() const { return header_->metadata; }
  [[nodiscard]] std::vector<std::string> names() const;  // sorted
  [[nodiscard]] bool has(const std::string& name) const { return header_->tensors.contains(name); }
  [[nodiscard]] const Shape& shape(const std::string& name) const { return entry(name).shape; }
  [[nodiscard]] const std::string& dtype(const std::string& name) const {
    return entry(name).dtype;
  }  // "F32"

  // An own copy in the type it is stored in: F32, BF16, F64; F16 as float32; BOOL and every integer as int32,
  // if each value fits. The other types of the format are an InputError.
  [[nodiscard]] Tensor read(const std::string& name) const;
  [[nodiscard]] Tensor read(const std::string& name, DType dtype) const;
  // The same without a copy where the file holds that type in place for it: a constant tensor over the mapped
  // file, which it keeps open. Its pages are read when they are first used.
  [[nodiscard]] Tensor view(const std::string& name, DType dtype = DType::float32) const;

 private:
  [[nodiscard]] const SafetensorsEntry& entry(const std::string& name) const;
  [[nodiscard]] std::span<const std::byte> bytes_of(const SafetensorsEntry& entry) const;

  std::filesystem::path path_;
  std::shared_ptr<const MappedFile> file_;
  std::shared_ptr<const SafetensorsHeader> header_;
  uint64_t data_begin_ = 0;  // in the file
};

}  // namespace gmail
