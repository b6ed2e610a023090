// safetensors (github.com/huggingface/safetensors): u64 little-endian N, N bytes of JSON, then one byte
// buffer.
//   {"__metadata__": {string: string}, NAME: {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]},
//   ...}
// The tensors tile the buffer in order of their offsets. The writer puts larger alignment first, then sorts
// by name, and pads the header with spaces to a multiple of 8, so equal content is equal bytes.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "io/files.h"

namespace gmail {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};
using Metadata = std::map<std::string, std::string>;

// How float32 tensors are stored; other types always stay as they are. float16 refuses finite values beyond
// 65504.
enum class StoreAs : uint8_t { as_is, float16, bfloat16 };

// Atomic (see write_atomically). Names must differ.
void save_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata = {}, StoreAs store = StoreAs::as_is);

// Opening checks the whole header: size (at most 100 MB), JSON, duplicate keys, known dtypes, shapes (rank <=
// 6), and that the tensors tile the buffer without gap or overlap. Anything else is an InputError that names
// file and tensor.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const Metadata& metadata() const { return metadata_; }
  [[nodiscard]] std::vector<std::string> names() const;  // sorted
  [[nodiscard]] bool has(const std::string& name) const { return entries_.contains(name); }
  [[nodiscard]] const Shape& shape(const std::string& name) const { return entry(name).shape; }
  [[nodiscard]] const std::string& dtype(const std::string& name) const {
    return entry(name).dtype;
  }  // "F32"

  // An own copy in the type it is stored in: F32, BF16, F64, I32; F16 as float32; I64 as int32 if every value
  // fits.
  [[nodiscard]] Tensor read(const std::string& name) const;
  [[nodiscard]] Tensor read(const std::string& name, DType dtype) const;

 private:
  struct Entry {
    std::string dtype;
    Shape shape;
    size_t begin = 0, end = 0;  // in the file
  };
  [[nodiscard]] const Entry& entry(const std::string& name) const;
  void parse(const std::string& header, size_t buffer_begin, size_t buffer_size);

  std::filesystem::path path_;
  MappedFile file_;
  Metadata metadata_;
  std::map<std::string, Entry> entries_;
};

}  // namespace gmail
