#include "io/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "io/json.h"

namespace gmail {
namespace {

constexpr const char* kMetadata = "__metadata__";
constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();

// A name for a message: as it is, unless it is long or would disturb a terminal.
std::string shown(const std::string& name) {
  const bool plain =
      name.size() <= 200 && std::none_of(name.begin(), name.end(), [](char c) { return c >= 0 && c < ' '; });
  return plain ? "'" + name + "'" : describe(name);
}

// Takes the header's JSON piece by piece. Its form is {"__metadata__": {string: string}, NAME: {"dtype":
// string, "shape": [size, ..], "data_offsets": [begin, end]}}, and at every place only one kind of piece
// fits.
class Reader final : public nlohmann::json_sax<Json> {
 public:
  [[nodiscard]] SafetensorsHeader take() { return std::move(header_); }

  bool null() override { misfit("null"); }
  bool boolean(bool value) override { misfit(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { misfit(std::to_string(value)); }
  bool number_float(number_float_t /*value*/, const string_t& text) override { misfit(text); }
  bool binary(binary_t& /*value*/) override { misfit("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::shape && place_ != Place::offsets) misfit(std::to_string(value));
    GMAIL_INPUT(place_ == Place::offsets || sizes_ < shape_.size(), tensor(), "rank above ", shape_.size(),
                " is not supported");
    GMAIL_INPUT(place_ == Place::shape || sizes_ < offsets_.size(), tensor(), kNoOffsets);
    (place_ == Place::shape ? shape_[sizes_] : offsets_[sizes_]) = value;
    ++sizes_;
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::metadata) {
      header_.metadata[key_] = std::move(value);
    } else if (place_ == Place::tensor && field_ == kDtype) {
      GMAIL_INPUT(safetensors_bits(value) != 0, tensor(), "unknown dtype ", describe(value));
      entry_->dtype = std::move(value);
    } else {
      misfit(describe(value));
    }
    return true;
  }

  bool start_object(size_t /*elements*/) override {
    if (place_ == Place::outside) {
      place_ = Place::root;
    } else if (place_ == Place::root && key_ == kMetadata) {
      place_ = Place::metadata;
    } else if (place_ == Place::root) {
      place_ = Place::tensor;
      seen_ = 0;
    } else {
      misfit("an object");
    }
    return true;
  }

  bool key(string_t& key) override {
    if (place_ == Place::tensor) {
      const auto* const found = std::find(kFields.begin(), kFields.end(), key);
      GMAIL_INPUT(found != kFields.end(), tensor(), "unknown field ", shown(key));
      field_ = static_cast<unsigned>(found - kFields.begin());
      GMAIL_INPUT((seen_ & (1U << field_)) == 0, tensor(), "duplicate key '", key, "'");
      seen_ |= 1U << field_;
      return true;
    }
    const bool fresh = place_ == Place::metadata ? header_.metadata.emplace(key, "").second
                       : key == kMetadata        ? !std::exchange(has_metadata_, true)
                                                 : header_.tensors.try_emplace(key).second;
    GMAIL_INPUT(fresh, "duplicate key ", shown(key));
    key_ = std::move(key);
    if (place_ == Place::root && key_ != kMetadata)
      entry_ = &header_.tensors.find(key_)->second, name_ = key_;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor) finish_tensor();
    place_ = place_ == Place::root ? Place::outside : Place::root;
    return true;
  }

  bool start_array(size_t /*elements*/) override {
    if (place_ != Place::tensor || field_ == kDtype) misfit("an array");
    place_ = field_ == kShape ? Place::shape : Place::offsets;
    sizes_ = 0;
    return true;
  }

  bool end_array() override {
    GMAIL_INPUT(place_ == Place::shape || sizes_ == offsets_.size(), tensor(), kNoOffsets);
    if (place_ == Place::shape) rank_ = sizes_;
    place_ = Place::tensor;
    return true;
  }

  // the library's own text would repeat what may be a hundred megabytes of a token
  bool parse_error(size_t byte, const std::string& /*token*/, const Json::exception& /*e*/) override {
    throw InputError(concat("the header is not valid JSON in UTF-8 at its byte ", byte));
  }

 private:
  enum class Place : uint8_t { outside, root, metadata, tensor, shape, offsets };
  static constexpr std::array<std::string_view, 3> kFields = {"dtype", "shape", "data_offsets"};
  static constexpr unsigned kDtype = 0, kShape = 1;
  static constexpr std::string_view kNoOffsets = "\"data_offsets\" is not [begin, end]";

  [[nodiscard]] std::string tensor() const { return "tensor " + shown(name_) + ": "; }

  [[noreturn]] void misfit(const std::string& found) const {
    switch (place_) {
      case Place::outside:
        throw InputError("expected an object, found " + found);
      case Place::root:
        if (key_ == kMetadata) throw InputError("__metadata__: expected an object, found " + found);
        throw InputError(tensor() + "expected an object, found " + found);
      case Place::metadata:
        throw InputError(concat("__metadata__ ", shown(key_), ": expected a string, found ", found));
      case Place::tensor:
        throw InputError(concat(tensor(), "\"", kFields[field_], "\": expected ",
                                field_ == kDtype ? "a string" : "an array", ", found ", found));
      case Place::shape:
      case Place::offsets:
        break;
    }
    throw InputError(
        concat(tensor(), "\"", kFields[field_], "\": expected a whole number, zero or more, found ", found));
  }

  void finish_tensor() {
    for (unsigned f = 0; f < kFields.size(); ++f)
      GMAIL_INPUT((seen_ & (1U << f)) != 0, tensor(), "\"", kFields[f], "\" is missing");
    uint64_t numel = 1, bits = 0;
    std::array<int64_t, Shape::kMaxRank> sizes{};
    for (size_t i = 0; i < rank_; ++i) {
      GMAIL_INPUT(shape_[i] <= kMost && !__builtin_mul_overflow(numel, shape_[i], &numel) && numel <= kMost,
                  tensor(), "\"shape\" overflows");
      sizes[i] = static_cast<int64_t>(shape_[i]);
    }
    GMAIL_INPUT(!__builtin_mul_overflow(numel, safetensors_bits(entry_->dtype), &bits), tensor(),
                "\"shape\" overflows");
    GMAIL_INPUT(bits % 8 == 0, tensor(), "its size is no whole number of bytes");
    const auto [begin, end] = offsets_;
    GMAIL_INPUT(begin <= end && end - begin == bits / 8, tensor(), "shape and dtype need ", bits / 8,
                " bytes, \"data_offsets\" are [", begin, ",", end, "]");
    entry_->shape = Shape(std::span<const int64_t>(sizes.data(), rank_));
    entry_->begin = begin;
    entry_->end = end;
  }

  SafetensorsHeader header_;
  Place place_ = Place::outside;
  std::string key_, name_;             // of the metadata or the tensor; of the tensor
  SafetensorsEntry* entry_ = nullptr;  // of the tensor
  unsigned field_ = 0, seen_ = 0;      // index into kFields; a bit each
  std::array<uint64_t, Shape::kMaxRank> shape_{};
  std::array<uint64_t, 2> offsets_{};
  size_t sizes_ = 0, rank_ = 0;  // numbers so far; of the shape
  bool has_metadata_ = false;
};

// In order of their offsets the tensors tile the data.
void check_tiling(const SafetensorsHeader& header, uint64_t data_bytes) {
  std::vector<std::pair<const SafetensorsEntry*, const std::string*>> order;
  for (const auto& [name, e] : header.tensors) order.emplace_back(&e, &name);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first->begin, a.first->end) < std::pair(b.first->begin, b.first->end);
  });
  uint64_t at = 0;
  for (const auto& [e, name] : order) {
    GMAIL_INPUT(e->begin == at, "tensor ", shown(*name), e->begin > at ? " leaves a gap" : " overlaps",
                ": begins at ", e->begin, ", expected ", at);
    at = e->end;
  }
  GMAIL_INPUT(at == data_bytes, "the tensors end at ", at, ", the data at ", data_bytes);
}

}  // namespace

uint64_t safetensors_bits(std::string_view dtype) {
  static constexpr std::pair<std::string_view, uint64_t> kTypes[] = {
      {"F32", 32},    {"F16", 16},    {"BF16", 16},       {"F64", 64},       {"I32", 32},    {"I64", 64},
      {"BOOL", 8},    {"U8", 8},      {"I8", 8},          {"U16", 16},       {"I16", 16},    {"U32", 32},
      {"U64", 64},    {"C64", 64},    {"F8_E4M3", 8},     {"F8_E5M2", 8},    {"F8_E8M0", 8}, {"F4", 4},
      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
  for (const auto& [name, bits] : kTypes)
    if (name == dtype) return bits;
  return 0;
}

SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes) {
  GMAIL_INPUT(text.starts_with('{'), "the header does not start with '{'");
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  GMAIL_INPUT(text.ends_with('}'), "the header does not end with '}' and spaces");
  Reader reader;
  (void)Json::sax_parse(text.begin(), text.end(), &reader);
  SafetensorsHeader header = reader.take();
  check_tiling(header, data_bytes);
  return header;
}

}  // namespace gmail
