// What typing, copying and old software leave in a text, put right as ftfy does (version 6.3, fix_text), with
// which CLIP's texts are cleaned [openai/CLIP: clip/simple_tokenizer.py, basic_clean].
#pragma once

#include <string>
#include <string_view>

namespace gmail {

// Line by line, again and again until nothing changes (at most 64 times): complete HTML references are
// resolved, unless a "<" came before; 0x80 to 0x9F are read as windows-1252; Latin ligatures are taken apart;
// half- and full-width forms get their usual width; curly quotes become straight ones; terminal escapes and
// control characters go; NFC. Not done: the repair of text that was decoded in a wrong encoding, a guess.
[[nodiscard]] std::u32string repair_text(std::u32string_view text);

}  // namespace gmail
