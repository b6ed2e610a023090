// Addresses, e-mail, file names, markup: what may hold punctuation inside.
#include <algorithm>
#include <array>

#include "eval/ptb_forms.h"

namespace gmail::ptb {
namespace {

constexpr std::u32string_view kNotInAddress = U" \t\n\f\r\"<>|(){}";
constexpr std::u32string_view kNotInPath = U" \t\n\f\r\"<>|()";
constexpr std::u32string_view kNotAtPathEnd = U".!?{},-";
constexpr std::u32string_view kNotInSite = U" \t\n\f\r\"<>|.!?(){},";
constexpr std::u32string_view kNotInMail = U" \t\n\f\r\"<>|(){}\u00A0";

// Two characters or more without any of `never`, the last of them none of `not_last` either.
[[nodiscard]] size_t tail(const Line& t, size_t i, std::u32string_view never, std::u32string_view not_last) {
  size_t end = run(t, i, [&](char32_t c) { return !is_one_of(c, never); });
  while (end > i && is_one_of(t[end - 1], not_last)) --end;
  return end >= i + 2 ? end - i : 0;
}

[[nodiscard]] size_t path(const Line& t, size_t i) {
  const size_t length = t[i] == '/' ? tail(t, i + 1, kNotInPath, kNotAtPathEnd) : 0;
  return length > 0 ? 1 + length : 0;
}

// Label, full stop, label, .., and an ending of which `ending` tells the length; with a path.
template <class InLabel, class Ending>
[[nodiscard]] size_t site(const Line& t, size_t i, Search search, InLabel in_label, Ending ending) {
  if (t.in_vain(search, i)) return 0;
  size_t longest = 0, at = i;
  for (size_t end = run(t, at, in_label); end > at && t[end] == '.'; end = run(t, at, in_label)) {
    at = end + 1;
    const size_t last = ending(at);
    if (last == 0) continue;
    const size_t more = path(t, at + last);
    longest = at + last + more - i;
    if (more > 0) break;
  }
  if (longest == 0) t.found_nothing(search, at);
  return longest;
}

[[nodiscard]] size_t site_with_www(const Line& t, size_t i) {
  if (!t.has(i, U"www.")) return 0;
  const auto in_label = [](char32_t c) { return !is_one_of(c, kNotInSite); };
  const auto ending = [&](size_t at) {
    const size_t letters = std::min(run(t, at, is_ascii_letter) - at, size_t{4});
    return letters >= 2 ? letters : 0;
  };
  const size_t length = site(t, i + 4, Search::name, in_label, ending);
  return length > 0 ? 4 + length : 0;
}

[[nodiscard]] size_t known_site(const Line& t, size_t i) {
  // small letters and little else: the reference leaves out all that stands from "," to "_" in ASCII
  const auto in_label = [](char32_t c) {
    return !is_one_of(c, U" \t\n\f\r\"`'<>|!(){}$") && (c < ',' || c > '_');
  };
  const auto ending = [&](size_t at) {
    for (const std::u32string_view w : {U"com", U"net", U"org", U"edu"})
      if (t.has(at, w)) return w.size();
    return size_t{0};
  };
  return site(t, i, Search::site, in_label, ending);
}

[[nodiscard]] bool in_name(char32_t c) { return is_ascii_word(c) || is_one_of(c, U"_:.-"); }
[[nodiscard]] size_t skip_blanks(const Line& t, size_t i) {
  return run(t, i, [](char32_t c) { return c == ' '; });
}

// = "value"
[[nodiscard]] size_t attribute_value(const Line& t, size_t i) {
  if (t[i = skip_blanks(t, i)] != '=') return 0;
  const size_t open = skip_blanks(t, i + 1);
  const char32_t quote = t[open];
  if (quote != '"' && quote != '\'') return 0;
  const size_t close = run(t, open + 1, [&](char32_t c) { return c != quote && c != '\n'; });
  return t[close] == quote ? close + 1 : 0;
}

[[nodiscard]] size_t mail_name_and_host(const Line& t, size_t i) {
  if (!is_ascii_word(t[i]) || t.in_vain(Search::address, i)) return 0;
  const auto allowed = [](char32_t c) { return !is_one_of(c, kNotInMail); };
  const auto in_label = [&](char32_t c) { return allowed(c) && c != '.'; };
  const size_t stop = run(t, i, allowed);
  for (size_t at = stop; at-- > i + 1;)
    if (t[at] == '@' && at + 1 < stop && in_label(t[at + 1])) {
      size_t end = run(t, at + 1, in_label);
      while (t[end] == '.' && run(t, end + 1, in_label) > end + 1) end = run(t, end + 1, in_label);
      return end - i;
    }
  t.found_nothing(Search::address, stop);
  return 0;
}

}  // namespace

// <a b c="d">, </a>, <!-- .. >, <?..>
size_t tag(const Line& t, size_t i) {
  if (t[i] != '<') return 0;
  if (is_one_of(t[i + 1], U"!?")) {
    if (!is_ascii_letter(t[i + 2]) && t[i + 2] != '-') return 0;
    if (t.in_vain(Search::tag, i)) return 0;
    const size_t end = run(t, i + 3, [](char32_t c) { return !is_one_of(c, U">\r\n"); });
    if (t[end] == '>') return end + 1 - i;
    t.found_nothing(Search::tag, end);
    return 0;
  }
  const size_t slash = t[i + 1] == '/' ? 1 : 0;
  if (!is_ascii_letter(t[i + 1 + slash])) return 0;
  size_t end = run(t, i + 1 + slash, in_name);
  while (slash == 0 && t[end] == ' ' && is_ascii_letter(t[skip_blanks(t, end)])) {
    end = run(t, skip_blanks(t, end), in_name);
    end = std::max(end, attribute_value(t, end));
  }
  end = skip_blanks(t, end);
  if (slash == 0 && t[end] == '/') end = skip_blanks(t, end + 1);
  return t[end] == '>' ? end + 1 - i : 0;
}

Found tag_token(const Line& t, size_t i) { return token(tag(t, i)); }

Found full_address(const Line& t, size_t i) {
  for (const std::u32string_view w : {U"http://", U"https://"})
    if (const size_t n = t.has(i, w) ? tail(t, i + w.size(), kNotInAddress, kNotAtPathEnd) : 0; n > 0)
      return token(w.size() + n);
  return {};
}

Found likely_address(const Line& t, size_t i) {
  return token(std::max(site_with_www(t, i), known_site(t, i)));
}

Found mail_address(const Line& t, size_t i) {
  const size_t open = t[i] == '<' ? 1 : t.has(i, U"&lt;") ? 4 : 0;
  const size_t length = mail_name_and_host(t, i + open);
  if (length == 0) return {};
  return token(open + length + (t[i + open + length] == '>' ? 1 : 0));
}

Found handle(const Line& t, size_t i) {
  const auto in_handle = [](char32_t c) { return is_ascii_word(c) || c == '_'; };
  if (t[i] == '@' && in_handle(t[i + 1]) && !is_ascii_digit(t[i + 1]))
    return token(run(t, i + 1, in_handle) - i);
  const size_t length = t[i] == '#' ? letters(t, i + 1) : 0;
  return length > 0 ? token(1 + length) : Found{};
}

Found file_name(const Line& t, size_t i) {
  constexpr auto kEndings = std::to_array<std::u32string_view>(
      {U"c",   U"h",   U"x",   U"gz",  U"pl",  U"ps",  U"py",   U"bat",  U"bmp",  U"cgi",  U"cpp",  U"dll",
       U"doc", U"exe", U"gif", U"htm", U"jar", U"jpg", U"mov",  U"mp3",  U"pdf",  U"php",  U"png",  U"ppt",
       U"sql", U"tar", U"txt", U"wav", U"xml", U"zip", U"docx", U"html", U"java", U"jpeg", U"class"});
  if (t.in_vain(Search::file, i)) return {};
  const auto part_end = [&](size_t at) {
    for (size_t n = 1; n > 0; at += n) n = is_digit(t[at]) ? 1 : letters(t, at);
    return at;
  };
  size_t longest = 0, end = part_end(i);
  while (end > i && t[end] == '.') {
    for (const std::u32string_view w : kEndings) {
      const char32_t next = t[end + 1 + w.size()];
      if (t.has(end + 1, w) && (is_blank(next) || is_newline(next) || is_one_of(next, U".?!,")))
        longest = end + 1 + w.size() - i;
    }
    const size_t part = part_end(end + 1);
    if (part == end + 1) break;
    end = part;
  }
  if (longest == 0) t.found_nothing(Search::file, end);
  return longest > 0 ? token_before(longest, 1) : Found{};
}

Found language(const Line& t, size_t i) {
  if (t.has(i, U"c++")) return token(3);
  return t.has(i, U"c#") || t.has(i, U"f#") ? token(2) : Found{};
}

}  // namespace gmail::ptb
