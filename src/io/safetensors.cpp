#include "io/safetensors.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "io/half.h"

namespace gmail {
namespace {

using nlohmann::json;
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kLengthBytes = 8;

// Bits of one element, 0 for a type that the format does not know.
uint64_t bits_of(std::string_view dtype) {
  static constexpr std::pair<std::string_view, uint64_t> kTypes[] = {
      {"F32", 32},    {"F16", 16},    {"BF16", 16},       {"F64", 64},       {"I32", 32},    {"I64", 64},
      {"BOOL", 8},    {"U8", 8},      {"I8", 8},          {"U16", 16},       {"I16", 16},    {"U32", 32},
      {"U64", 64},    {"C64", 64},    {"F8_E4M3", 8},     {"F8_E5M2", 8},    {"F8_E8M0", 8}, {"F4", 4},
      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
  for (const auto& [name, bits] : kTypes)
    if (name == dtype) return bits;
  return 0;
}

std::string_view stored_type(const Tensor& t, StoreAs store) {
  switch (t.dtype()) {
    case DType::float32:
      return store == StoreAs::float16 ? "F16" : store == StoreAs::bfloat16 ? "BF16" : "F32";
    case DType::bfloat16:
      return "BF16";
    case DType::float64:
      return "F64";
    case DType::int32:
      return "I32";
  }
  return "";
}

// What of `t` goes into the file: its own bytes, or a converted copy held by `buffer`.
std::span<const std::byte> stored_bytes(const NamedTensor& named, std::string_view type,
                                        std::vector<uint16_t>& buffer) {
  const Tensor& t = named.tensor;
  const bool narrow = t.dtype() == DType::float32 && type != "F32";
  if (!narrow) return {t.raw(), t.bytes()};
  buffer.resize(static_cast<size_t>(t.numel()));
  const float* x = t.data<float>();
  for (size_t i = 0; i < buffer.size(); ++i) {
    buffer[i] = type == "F16" ? float_to_half(x[i]) : bfloat16(x[i]).bits;
    GMAIL_CHECK(type != "F16" || (buffer[i] & 0x7fffU) != 0x7c00U || std::isinf(x[i]),
                "[safetensors] tensor '", named.name, "': ", x[i], " at ", i, " does not fit in float16");
  }
  return std::as_bytes(std::span(buffer));
}

uint64_t little_endian(std::span<const std::byte> bytes) {
  uint64_t n = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) n |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  return n;
}

// JSON with two demands that the library does not make: no key twice, no nesting beyond what the format has.
json parse_header(const std::string& text) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    GMAIL_INPUT(depth <= 3, "nested too deeply");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      GMAIL_INPUT(keys.back().insert(key).second, "duplicate key '", key, "'");
    }
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::exception& e) {
    throw InputError(e.what());
  }
}

// The size in bytes of a tensor, or an error for a shape that no file can hold.
uint64_t byte_count(const json& shape, uint64_t bits, std::vector<int64_t>& sizes) {
  GMAIL_INPUT(shape.is_array(), "\"shape\" is not an array");
  GMAIL_INPUT(shape.size() <= static_cast<size_t>(Shape::kMaxRank), "rank ", shape.size(), ", at most ",
              Shape::kMaxRank, " is supported");
  uint64_t total = bits;
  for (const json& size : shape) {
    GMAIL_INPUT(size.is_number_unsigned(), "\"shape\" holds ", size.dump(), ", expected a size");
    const auto n = size.get<uint64_t>();
    GMAIL_INPUT(n <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) &&
                    !__builtin_mul_overflow(total, n, &total) &&
                    total <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
                "\"shape\" ", shape.dump(), " overflows");
    sizes.push_back(static_cast<int64_t>(n));
  }
  GMAIL_INPUT(total % 8 == 0, "its size is no whole number of bytes");
  return total / 8;
}

const json& field(const json& object, const char* key) {
  GMAIL_INPUT(object.is_object(), "expected an object, got ", object.type_name());
  const auto found = object.find(key);
  GMAIL_INPUT(found != object.end(), "\"", key, "\" is missing");
  return *found;
}

}  // namespace

void save_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata, StoreAs store) {
  struct Item {
    const NamedTensor* named;
    std::string_view type;
    uint64_t bits;
  };
  std::vector<Item> items;
  for (const NamedTensor& t : tensors) {
    GMAIL_CHECK(t.tensor.defined(), "[safetensors] tensor '", t.name, "' is absent");
    const std::string_view type = stored_type(t.tensor, store);
    items.push_back({&t, type, bits_of(type)});
  }
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
  std::string length;
  for (size_t i = 0; i < kLengthBytes; ++i) length += static_cast<char>((text.size() >> (8 * i)) & 0xffU);
  write_atomically(path, [&](const ByteSink& write) {
    write(std::as_bytes(std::span(length.append(text))));
    std::vector<uint16_t> buffer;
    for (const Item& item : items) {
      const NamedTensor here{item.named->name, item.named->tensor.to(Device::cpu)};
      write(stored_bytes(here, item.type, buffer));
    }
  });
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path), file_(path) {
  const auto bytes = file_.bytes();
  const auto fail = [&](const auto&... what) -> void {
    throw InputError(concat("[safetensors] ", path_.string(), ": ", what...));
  };
  if (bytes.size() < kLengthBytes) fail("expected a header, the file has ", bytes.size(), " bytes");
  const uint64_t length = little_endian(bytes);
  if (length > kMaxHeader) fail("the header claims ", length, " bytes, at most ", kMaxHeader, " are allowed");
  if (length > bytes.size() - kLengthBytes)
    fail("the header claims ", length, " bytes, the file ends before");
  const std::string header(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  try {
    GMAIL_INPUT(header.starts_with('{'), "the header does not start with '{'");
    parse(header, kLengthBytes + length, bytes.size() - kLengthBytes - length);
  } catch (const InputError& e) {
    fail(e.what());
  }
}

void SafetensorsFile::parse(const std::string& header, size_t buffer_begin, size_t buffer_size) {
  const json parsed = parse_header(header);
  for (const auto& [name, value] : parsed.items()) {
    if (name == "__metadata__") {
      GMAIL_INPUT(value.is_object(), "__metadata__ is not an object");
      for (const auto& [key, text] : value.items()) {
        GMAIL_INPUT(text.is_string(), "__metadata__ '", key, "' is not a string");
        metadata_[key] = text.get<std::string>();
      }
      continue;
    }
    try {
      const json &dtype = field(value, "dtype"), &offsets = field(value, "data_offsets");
      const uint64_t bits = dtype.is_string() ? bits_of(dtype.get_ref<const std::string&>()) : 0;
      GMAIL_INPUT(bits != 0, "unknown dtype ", dtype.dump(-1, ' ', false, json::error_handler_t::replace));
      GMAIL_INPUT(offsets.is_array() && offsets.size() == 2 && offsets[0].is_number_unsigned() &&
                      offsets[1].is_number_unsigned(),
                  "\"data_offsets\" is not [begin, end]");
      const auto begin = offsets[0].get<uint64_t>(), end = offsets[1].get<uint64_t>();
      std::vector<int64_t> sizes;
      const uint64_t size = byte_count(field(value, "shape"), bits, sizes);
      GMAIL_INPUT(begin <= end && end <= buffer_size, "\"data_offsets\" [", begin, ",", end, "] outside the ",
                  buffer_size, " bytes of data");
      GMAIL_INPUT(end - begin == size, "shape and dtype need ", size, " bytes, \"data_offsets\" hold ",
                  end - begin);
      entries_[name] = {dtype.get<std::string>(), Shape(sizes), buffer_begin + begin, buffer_begin + end};
    } catch (const InputError& e) {
      throw InputError(concat("tensor '", name, "': ", e.what()));
    }
  }
  std::vector<std::pair<const std::string*, const Entry*>> order;
  for (const auto& [name, e] : entries_) order.emplace_back(&name, &e);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  size_t at = buffer_begin;
  for (const auto& [name, e] : order) {
    GMAIL_INPUT(e->begin == at, "tensor '", *name, "' ", e->begin > at ? "leaves a gap" : "overlaps",
                ": begins at ", e->begin - buffer_begin, ", expected ", at - buffer_begin);
    at = e->end;
  }
  GMAIL_INPUT(at == buffer_begin + buffer_size, "the tensors end at ", at - buffer_begin, ", the data at ",
              buffer_size);
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, e] : entries_) names.push_back(name);
  return names;
}

const SafetensorsFile::Entry& SafetensorsFile::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  GMAIL_INPUT(found != entries_.end(), "[safetensors] ", path_.string(), ": no tensor '", name, "'");
  return found->second;
}

Tensor SafetensorsFile::read(const std::string& name) const {
  const Entry& e = entry(name);
  const std::byte* bytes = file_.bytes().data() + e.begin;
  const auto copy = [&](DType dtype) {
    Tensor t = Tensor::empty(e.shape, dtype);
    if (e.end > e.begin) std::memcpy(t.raw(), bytes, e.end - e.begin);
    return t;
  };
  if (e.dtype == "F32") return copy(DType::float32);
  if (e.dtype == "F64") return copy(DType::float64);
  if (e.dtype == "BF16") return copy(DType::bfloat16);
  if (e.dtype == "I32") return copy(DType::int32);
  if (e.dtype == "F16") {
    Tensor t = Tensor::empty(e.shape, DType::float32);
    for (float& x : t.span<float>()) {
      uint16_t half = 0;
      std::memcpy(&half, bytes, sizeof half);
      bytes += sizeof half;
      x = half_to_float(half);
    }
    return t;
  }
  GMAIL_INPUT(e.dtype == "I64", "[safetensors] ", path_.string(), ": tensor '", name, "' has dtype ", e.dtype,
              ", which is not supported");
  Tensor t = Tensor::empty(e.shape, DType::int32);
  for (int32_t& x : t.span<int32_t>()) {
    int64_t wide = 0;
    std::memcpy(&wide, bytes, sizeof wide);
    bytes += sizeof wide;
    x = static_cast<int32_t>(wide);
    GMAIL_INPUT(x == wide, "[safetensors] ", path_.string(), ": tensor '", name, "' holds ", wide,
                ", which does not fit in int32");
  }
  return t;
}

Tensor SafetensorsFile::read(const std::string& name, DType dtype) const { return read(name).to(dtype); }

}  // namespace gmail
