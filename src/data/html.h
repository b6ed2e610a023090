// HTML's character references, "&amp;" and "&#38;", as Python's html.unescape reads them: where a semicolon
// is missing the longest old name counts ("&ampx" is "&x"), numbers that are no character are dropped or
// become U+FFFD, and 0x80 to 0x9F are read as windows-1252.
#pragma once

#include <string>
#include <string_view>

namespace gmail {

// Python's html.unescape [WHATWG, HTML Standard, sec. 13.2.5.72 to 80]. One pass: "&amp;lt;" becomes "&lt;".
[[nodiscard]] std::u32string unescape_html(std::u32string_view text);

// Only what is certainly meant, as ftfy does: "&name;" and "&#number;" with the semicolon, and names that
// were put in capitals ("&EACUTE;").
[[nodiscard]] std::u32string unescape_certain_html(std::u32string_view text);

// What a control character from 0x80 to 0x9F is in windows-1252; any other as it is.
[[nodiscard]] char32_t from_windows_1252(char32_t c);

// The table of names, html_entities.cpp.
[[nodiscard]] std::string_view html_entities();

}  // namespace gmail
