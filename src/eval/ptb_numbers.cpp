// Numbers, dates, fractions, money, telephone numbers.
#include "eval/ptb_forms.h"

namespace gmail::ptb {
namespace {

// All places, counted from i, that a form of bounded length can have come to: bit k for i + k.
class Ways {
 public:
  Ways(const Line& t, size_t i) : t_(t), i_(i) {}
  [[nodiscard]] size_t longest() const {
    size_t n = 0;
    for (size_t k = 0; k < 64; ++k)
      if (at_ >> k & 1U) n = k;
    return n;
  }
  // from `low` to `high` characters of the class
  template <class Class>
  Ways& take(Class in_class, int low, int high) {
    uint64_t places = at_, reached = low == 0 ? at_ : 0;
    for (int n = 1; n <= high && places != 0; ++n) {
      uint64_t next = 0;
      for (size_t k = 0; k < 63; ++k)
        if ((places >> k & 1U) != 0 && in_class(t_[i_ + k])) next |= uint64_t{1} << (k + 1);
      places = next;
      if (n >= low) reached |= places;
    }
    at_ = reached;
    return *this;
  }
  Ways& digits(int low, int high) { return take(is_digit, low, high); }
  Ways& figures(int low, int high) { return take(is_ascii_digit, low, high); }
  Ways& one_of(std::u32string_view set, int low = 1) {
    return take([&](char32_t c) { return is_one_of(c, set); }, low, 1);
  }
  Ways& or_else(const Ways& other) {
    at_ |= other.at_;
    return *this;
  }

 private:
  const Line& t_;
  size_t i_;
  uint64_t at_ = 1;
};

[[nodiscard]] bool begins_number(char32_t c) { return is_digit(c) || c == '+' || c == '('; }

// 5, .5, 1,000.50, 5:30; U+066B and U+066C are Arabic separators
[[nodiscard]] size_t unsigned_number(const Line& t, size_t i) {
  size_t end = run(t, i, is_digit);
  while (is_one_of(t[end], U".:,\u00AD\u066B\u066C") && is_digit(t[end + 1])) end = run(t, end + 1, is_digit);
  return end - i;
}

}  // namespace

Found date(const Line& t, size_t i) {
  if (!is_digit(t[i])) return {};
  return token(Ways(t, i).digits(1, 2).one_of(U"-/").digits(1, 2).one_of(U"-/").digits(2, 4).longest());
}

Found number(const Line& t, size_t i) {
  const size_t sign = t[i] == '-' || t[i] == '+' ? 1 : 0;
  const size_t length = unsigned_number(t, i + sign);
  return length > 0 ? token(sign + length) : Found{};
}

Found raised_number(const Line& t, size_t i) {
  const auto raised = [](char32_t c) {
    return c == 0x2070 || c == 0xB9 || c == 0xB2 || c == 0xB3 || (c >= 0x2074 && c <= 0x2079);
  };
  const auto lowered = [](char32_t c) { return c >= 0x2080 && c <= 0x2089; };
  const size_t sign = is_one_of(t[i], U"\u207A\u207B\u208A\u208B") ? 1 : 0;
  const size_t end = raised(t[i + sign]) ? run(t, i + sign, raised) : run(t, i + sign, lowered);
  return end > i + sign ? token(end - i) : Found{};
}

// 1/2, 2 1/2, 2-1/2
Found fraction(const Line& t, size_t i) {
  if (!is_digit(t[i])) return {};
  Ways ways = Ways(t, i).digits(1, 4).one_of(U"- \u00A0");
  ways.or_else(Ways(t, i)).digits(1, 4);
  Ways other = ways;
  ways.one_of(U"\\", 0).one_of(U"/").or_else(other.one_of(U"\u2044")).digits(1, 4);
  return token(ways.longest());
}

Found fraction_sign(const Line& t, size_t i) {
  return is_one_of(t[i], U"\u00BC\u00BD\u00BE\u2153\u2154") ? token(1) : Found{};
}

// $, US$
Found dollar(const Line& t, size_t i) {
  if (t[i] == '#') return token(1);
  const size_t end = run(t, i, [](char32_t c) { return c >= 'A' && c <= 'Z'; });
  return t[end] == '$' ? token(end + 1 - i) : Found{};
}

Found currency(const Line& t, size_t i) {
  return is_one_of(t[i], U"\u00A2\u00A3\u0080\u00A4\u20A0\u20AC") ? token(1) : Found{};
}

// (555) 555-1234, +1 555 555 1234, 555.555.1234
Found phone(const Line& t, size_t i) {
  if (!begins_number(t[i])) return {};
  constexpr std::u32string_view kGap = U"- \u00A0";
  Ways area = Ways(t, i).one_of(U"(").figures(2, 3).one_of(U")").one_of(U" \u00A0", 0);
  Ways country = Ways(t, i).one_of(U"+", 0).one_of(U"+", 0);
  Ways groups = country;
  groups.figures(2, 4).one_of(kGap).or_else(country).figures(2, 4).one_of(kGap);
  area.or_else(groups).figures(3, 4).one_of(kGap, 0).figures(3, 5);
  Ways dotted = country;
  dotted.figures(2, 4).one_of(U".").or_else(Ways(t, i)).figures(2, 4).one_of(U".");
  dotted.figures(3, 4).one_of(U".").figures(3, 5);
  return token(area.or_else(dotted).longest());
}

}  // namespace gmail::ptb
