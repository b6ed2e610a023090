// Results of other programs, committed under tests/golden/ by scripts/export_goldens.py: names, shapes and
// tolerances travel with the data.
#pragma once

#include <filesystem>
#include <string>

#include "io/safetensors.h"

namespace gmail::test {

[[nodiscard]] std::filesystem::path golden_folder(const std::string& name);  // tests/golden/NAME

class Golden {
 public:
  explicit Golden(const std::filesystem::path& file) : file_(file) {}
  [[nodiscard]] Tensor operator[](const std::string& name) const { return file_.read(name); }
  [[nodiscard]] const SafetensorsFile& file() const { return file_; }
  [[nodiscard]] double number(const std::string& key) const;  // of the metadata
  // "" if `found` is the stored tensor within "tolerance.NAME" of its largest element, plus `atol`; else what
  // differs. `kind` names the tolerance where it is not the tensor's own.
  [[nodiscard]] std::string compare(const std::string& name, const Tensor& found,
                                    const std::string& kind = "", double atol = 0) const;

 private:
  SafetensorsFile file_;
};

}  // namespace gmail::test
