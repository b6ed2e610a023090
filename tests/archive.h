// tar archives for tests, member by member.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace gmail::test {

// A header block of type `type`; `size` is written as it stands, 11 octal digits if it is empty.
inline std::string tar_header(const std::string& name, int64_t bytes, char type = '0',
                              std::string size = "") {
  std::string h(512, '\0');
  const auto octal = [](int64_t value, size_t digits) {
    std::string text(digits, '0');
    for (size_t i = digits; i-- > 0; value /= 8) text[i] = static_cast<char>('0' + value % 8);
    return text;
  };
  if (size.empty()) size = octal(bytes, 11);
  h.replace(0, name.size(), name).replace(100, 7, "0000644").replace(124, size.size(), size);
  h.replace(148, 8, 8, ' ');
  h[156] = type;
  h.replace(257, 8,
            std::string("ustar\0"
                        "00",
                        8));
  int64_t sum = 0;
  for (const char c : h) sum += static_cast<unsigned char>(c);
  return h.replace(148, 7, octal(sum, 6) + '\0');
}

inline std::string tar_member_bytes(const std::string& name, const std::string& data, char type = '0',
                                    const std::string& size = "") {
  return tar_header(name, static_cast<int64_t>(data.size()), type, size) + data +
         std::string((512 - data.size() % 512) % 512, '\0');
}

inline const std::string kTarEnd = std::string(1024, '\0');

inline std::string make_tar(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string out;
  for (const auto& [name, data] : files) out += tar_member_bytes(name, data);
  return out + kTarEnd;
}

}  // namespace gmail::test
