// The tensors of a model, whether they lie in one safetensors file or in many. Many are listed by an index
// beside them, as Hugging Face writes it:
//   model.safetensors.index.json   {"metadata": {"total_size": ..}, "weight_map": {TENSOR: FILE, ..}}
#pragma once

#include <functional>

#include "io/safetensors.h"

namespace gmail {

class TensorFiles {
 public:
  // FOLDER/FILE if it is there, else what FOLDER/FILE.index.json lists. InputError if there is neither, if a
  // listed file is missing or lies outside the folder, if a tensor is not in the file that should have it,
  // or is in one but not listed; and for what opening each file refuses.
  [[nodiscard]] static TensorFiles open(const std::filesystem::path& folder,
                                        const std::string& file = "model.safetensors");
  [[nodiscard]] static TensorFiles open_index(const std::filesystem::path& index);
  // Is there one or the other?
  [[nodiscard]] static bool exist(const std::filesystem::path& folder,
                                  const std::string& file = "model.safetensors");
  TensorFiles(const SafetensorsFile& file);  // NOLINT(google-explicit-constructor): one file is files too

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }  // of the file or of the index
  [[nodiscard]] size_t files() const { return files_.size(); }
  [[nodiscard]] const Metadata& metadata() const { return files_.front().metadata(); }  // of the first file
  [[nodiscard]] std::vector<std::string> names() const;                                 // sorted
  [[nodiscard]] bool has(const std::string& name) const { return in_.contains(name); }

  // As SafetensorsFile's.
  [[nodiscard]] const Shape& shape(const std::string& name) const { return with(name).shape(name); }
  [[nodiscard]] const std::string& dtype(const std::string& name) const { return with(name).dtype(name); }
  [[nodiscard]] Tensor read(const std::string& name) const { return with(name).read(name); }
  [[nodiscard]] Tensor read(const std::string& name, DType dtype) const {
    return with(name).read(name, dtype);
  }
  [[nodiscard]] Tensor view(const std::string& name, DType dtype = DType::float32) const {
    return with(name).view(name, dtype);
  }

  // Tensors that the model does not have (buffers of old programs) are no longer here.
  void leave_out(const std::function<bool(const std::string& name)>& unwanted);

 private:
  TensorFiles() = default;
  [[nodiscard]] const SafetensorsFile& with(const std::string& name) const;

  std::filesystem::path path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, size_t> in_;  // name -> index into files_
};

}  // namespace gmail
