// The English stemmer of Snowball ("Porter2") as it was before release 3.0, which is what METEOR 1.5 uses
// [snowballstem.org/algorithms/english/stemmer.html]. Releases from 3.0 on stem some words otherwise: "added"
// keeps two d's, "geologist" becomes "geolog", "evening" and "organize" are no longer "even" and "organ".
#pragma once

#include <string>
#include <string_view>

namespace gmail {

// A word in lower case -> its stem; UTF-8, where what is not an ASCII letter counts as a consonant.
[[nodiscard]] std::string english_stem(std::string_view word);

}  // namespace gmail
