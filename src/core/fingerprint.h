// FNV-1a, 64 bits: names content, to see whether it is what it was. No defence against somebody who wants two
// contents to agree.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace gmail {

class Fingerprint {
 public:
  void add(std::string_view bytes) {
    add(bytes.size());
    for (const char c : bytes) step(static_cast<unsigned char>(c));
  }
  void add(uint64_t value) {
    for (int i = 0; i < 8; ++i) step(value >> (8 * i) & 0xFF);
  }
  // the same for many bytes, eight to a step
  void add_words(std::span<const std::byte> bytes) {
    add(bytes.size());
    for (size_t i = 0; i < bytes.size(); i += 8) {
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + i, bytes.size() - i < 8 ? bytes.size() - i : 8);
      step(word);
      value_ ^= value_ >> 32U;  // a product carries a word's high bits nowhere
    }
  }
  [[nodiscard]] uint64_t value() const { return value_; }
  [[nodiscard]] std::string hex() const {
    constexpr const char* kDigits = "0123456789abcdef";
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[value_ >> shift & 0xF];
    return text;
  }

 private:
  void step(uint64_t word) { value_ = (value_ ^ word) * 0x100000001B3U; }
  uint64_t value_ = 0xCBF29CE484222325U;
};

}  // namespace gmail
