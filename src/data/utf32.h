// Text as code points, for what looks at more than one at a time.
#pragma once

#include <string>
#include <string_view>

namespace gmail {

// Bytes that are not UTF-8 become U+FFFD, as replace_bad_utf8 does it.
[[nodiscard]] std::u32string to_code_points(std::string_view text);
[[nodiscard]] std::string to_utf8(std::u32string_view text);

}  // namespace gmail
