#include "cli/embeddings_file.h"

namespace gmail::cli {

void save_embeddings(const std::filesystem::path& file, const Embeddings& e) {
  std::vector<NamedTensor> tensors;
  if (e.images) tensors.push_back({"image_embeds", e.images});
  if (e.texts) tensors.push_back({"text_embeds", e.texts});
  if (e.text_image) tensors.push_back({"text_image", e.text_image});
  save_safetensors(file, tensors, {{"format", "pt"}});
}

namespace {
std::string known(const SafetensorsFile& file) {
  std::string names;
  for (const std::string& name : file.names()) names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "nothing" : names;
}
}  // namespace

Tensor read_embeddings(const SafetensorsFile& file, const std::string& name) {
  const std::string where =
      concat(file.path().string(), ": tensor \"", name, "\": expected floats (rows, width), found ");
  GMAIL_INPUT(file.has(name), where, known(file));
  const std::string& dtype = file.dtype(name);
  const Shape& shape = file.shape(name);
  const bool floats = dtype == "F32" || dtype == "F16" || dtype == "BF16" || dtype == "F64";
  GMAIL_INPUT(floats && shape.rank() == 2 && shape.numel() > 0, where, dtype, " ", shape);
  return file.read(name, DType::float32);
}

Tensor read_text_image(const SafetensorsFile& file, int64_t texts, int64_t images) {
  const std::string where =
      concat(file.path().string(), ": tensor \"text_image\": expected int32 or int64 (", texts, ")");
  GMAIL_INPUT(file.has("text_image"), where, ", found ", known(file));
  const std::string& dtype = file.dtype("text_image");
  const Shape& shape = file.shape("text_image");
  GMAIL_INPUT((dtype == "I32" || dtype == "I64") && shape == Shape{texts}, where, ", found ", dtype, " ",
              shape);
  const Tensor rows = file.read("text_image");
  for (int64_t t = 0; t < texts; ++t) {
    const int32_t row = rows.data<int32_t>()[t];
    GMAIL_INPUT(row >= 0 && row < images, file.path().string(),
                ": tensor \"text_image\": expected rows 0 .. ", images - 1, ", found ", row, " for text ", t);
  }
  return rows;
}

void about_file(const std::filesystem::path& file, const std::function<void()>& f) {
  try {
    f();
  } catch (const InputError& e) {
    throw InputError(concat(file.string(), ": ", e.what()));
  }
}

}  // namespace gmail::cli
