#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "io/half.h"
#include "io/safetensors.h"

namespace gmail {
namespace {

struct Item {
  const NamedTensor* named;
  std::string type;
  uint64_t bits;
};

std::string own_type(DType t) {
  switch (t) {
    case DType::float32:
      return "F32";
    case DType::bfloat16:
      return "BF16";
    case DType::float64:
      return "F64";
    case DType::int32:
      return "I32";
  }
  return "";
}

Item item_of(const NamedTensor& t, StoreAs store) {
  GMAIL_CHECK(t.tensor.defined(), "[safetensors] tensor '", t.name, "' is absent");
  std::string type = t.as;
  if (type.empty() && t.tensor.dtype() == DType::float32)
    type = store == StoreAs::float16 ? "F16" : store == StoreAs::bfloat16 ? "BF16" : "F32";
  if (type.empty()) type = own_type(t.tensor.dtype());
  static const std::set<std::string> floats{"F64", "F32", "F16", "BF16"},
      integers{"I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"};
  GMAIL_CHECK((t.tensor.dtype() == DType::int32 ? integers : floats).contains(type), "[safetensors] tensor '",
              t.name, "': ", name_of(t.tensor.dtype()), " cannot be stored as '", type, "'");
  return {&t, type, safetensors_bits(type)};
}

// The tensor's numbers x in another type: narrow(x) is what is stored, and fits(x, stored) whether it may be.
template <class T, class Narrow, class Fits>
void convert(std::vector<std::byte>& out, const Item& item, const Tensor& t, const Narrow& narrow,
             const Fits& fits) {
  const std::span<const T> values = t.span<T>();
  using Stored = decltype(narrow(T{}));
  out.resize(values.size() * sizeof(Stored));
  for (size_t i = 0; i < values.size(); ++i) {
    const Stored stored = narrow(values[i]);
    GMAIL_CHECK(fits(values[i], stored), "[safetensors] tensor '", item.named->name, "': ", values[i], " at ",
                i, " does not fit in ", item.type);
    std::memcpy(out.data() + i * sizeof stored, &stored, sizeof stored);
  }
}

template <class Stored>
void convert_integer(std::vector<std::byte>& out, const Item& item, const Tensor& t) {
  convert<int32_t>(
      out, item, t, [](int32_t x) { return static_cast<Stored>(x); },
      [](int32_t x, Stored) { return std::in_range<Stored>(x); });
}

void convert_integers(std::vector<std::byte>& out, const Item& item, const Tensor& t) {
  if (item.type == "I64") return convert_integer<int64_t>(out, item, t);
  if (item.type == "I16") return convert_integer<int16_t>(out, item, t);
  if (item.type == "I8") return convert_integer<int8_t>(out, item, t);
  if (item.type == "U64") return convert_integer<uint64_t>(out, item, t);
  if (item.type == "U32") return convert_integer<uint32_t>(out, item, t);
  if (item.type == "U16") return convert_integer<uint16_t>(out, item, t);
  if (item.type == "U8") return convert_integer<uint8_t>(out, item, t);
  convert<int32_t>(
      out, item, t, [](int32_t x) { return static_cast<uint8_t>(x); },
      [](int32_t x, uint8_t) { return x == 0 || x == 1; });
}

void convert_floats(std::vector<std::byte>& out, const Item& item, const Tensor& t) {
  if (item.type == "F64")
    return convert<double>(
        out, item, t.to(DType::float64), [](double x) { return x; }, [](double, double) { return true; });
  if (item.type == "F32")
    return convert<double>(
        out, item, t.to(DType::float64), [](double x) { return static_cast<float>(x); },
        [](double x, float y) { return std::isfinite(y) || !std::isfinite(x); });
  const Tensor f = t.to(DType::float32);
  if (item.type == "F16")
    return convert<float>(out, item, f, float_to_half,
                          [](float x, uint16_t h) { return (h & 0x7c00U) != 0x7c00U || !std::isfinite(x); });
  convert<float>(
      out, item, f, [](float x) { return bfloat16(x); },
      [](float x, bfloat16 b) { return (b.bits & 0x7f80U) != 0x7f80U || !std::isfinite(x); });
}

// What of the tensor goes into the file: its own bytes, or converted ones held by `buffer`.
std::span<const std::byte> stored_bytes(const Item& item, const Tensor& t, std::vector<std::byte>& buffer) {
  if (item.type == own_type(t.dtype())) return {t.raw(), t.bytes()};
  t.dtype() == DType::int32 ? convert_integers(buffer, item, t) : convert_floats(buffer, item, t);
  return buffer;
}

}  // namespace

void save_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata, StoreAs store) {
  std::vector<Item> items;
  for (const NamedTensor& t : tensors) items.push_back(item_of(t, store));
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.bits != b.bits ? a.bits > b.bits : a.named->name < b.named->name;
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::set<std::string_view> names{"__metadata__"};
  uint64_t offset = 0;
  for (const Item& item : items) {
    const NamedTensor& t = *item.named;
    GMAIL_CHECK(names.insert(t.name).second, "[safetensors] the name '", t.name, "' is taken");
    const uint64_t end = offset + static_cast<uint64_t>(t.tensor.numel()) * item.bits / 8;
    const auto sizes = t.tensor.shape().sizes();
    header[t.name] = {{"dtype", item.type},
                      {"shape", std::vector<int64_t>(sizes.begin(), sizes.end())},
                      {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  GMAIL_CHECK(text.size() <= kMaxSafetensorsHeader, "[safetensors] ", path.string(), ": a header of ",
              text.size(), " bytes, at most ", kMaxSafetensorsHeader, " are allowed");
  std::string length;
  for (size_t i = 0; i < 8; ++i) length += static_cast<char>((text.size() >> (8 * i)) & 0xffU);
  write_atomically(path, [&](const ByteSink& write) {
    write(std::as_bytes(std::span(length.append(text))));
    std::vector<std::byte> buffer;
    for (const Item& item : items) write(stored_bytes(item, item.named->tensor.to(Device::cpu), buffer));
  });
}

}  // namespace gmail
