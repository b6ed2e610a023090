#include "report/audit_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace gmail {
namespace {

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

// three digits and a unit: 0, 640, 12.3k, 1.23M
std::string short_number(double v) {
  static constexpr std::array<const char*, 6> units{"", "k", "M", "G", "T", "P"};
  size_t unit = 0;
  while (v >= 999.5 && unit + 1 < units.size()) v /= 1000, ++unit;
  return format(unit == 0 || v >= 99.95 ? "%.0f%s" : v >= 9.995 ? "%.1f%s" : "%.2f%s", v, units[unit]);
}

std::string error_text(double e) { return e == 0 ? "0" : std::isnan(e) ? "nan" : format("%.0e", e); }

std::string joined(const Shape& shape) {
  std::string text;
  for (const int64_t n : shape.sizes()) text += (text.empty() ? "" : "x") + std::to_string(n);
  return text.empty() ? "1" : text;
}

// "8x50x128" if the op keeps the shape, else "8x50x128 > 512": the result without the sizes that it shares
// with the input at the front, if both have the same rank.
std::string shape_text(const AuditRow& row) {
  const Shape &x = row.first_input, &y = row.result;
  if (x == y) return joined(x);
  int common = 0;
  if (x.rank() == y.rank())
    while (x[common] == y[common]) ++common;
  return joined(x) + " > " + joined(Shape(y.sizes().subspan(static_cast<size_t>(common))));
}

using Cells = std::array<std::string, 11>;
constexpr size_t kLeft = 4;  // the first columns are flush left

Cells cells_of(const AuditRow& row, bool numbered) {
  const AuditPass &f = row.forward, &b = row.backward;
  const std::string none = "-";
  const bool back = row.has_backward;
  return {row.op,
          row.equations,
          shape_text(row),
          numbered ? "#" + std::to_string(row.first) : "x" + std::to_string(row.calls),
          f.flop + b.flop > 0 ? short_number(f.flop + b.flop) : none,
          short_number(f.bytes + b.bytes),
          format("%.3f", f.ms + b.ms),
          error_text(f.alone),
          back ? error_text(b.alone) : none,
          error_text(f.step),
          back ? error_text(b.step) : none};
}

std::string padded(const std::string& text, size_t width, bool left) {
  const std::string space(width > text.size() ? width - text.size() : 0, ' ');
  return left ? text + space : space + text;
}

// `mark` stands in front of a row that is outside the tolerance
std::string line_of(const Cells& cells, const std::array<size_t, 11>& widths, char mark = ' ') {
  std::string line(1, mark);
  for (size_t i = 0; i < cells.size(); ++i) {
    const bool close = i == 0 || i == 8 || i == 10;  // forward and backward stand together
    line += std::string(i == 0               ? 0
                        : i < kLeft || close ? 1
                                             : 2,
                        ' ') +
            padded(cells[i], widths[i], i < kLeft);
  }
  return line;
}

std::string head(const AuditReport& r) {
  const auto count = [](int64_t n) { return short_number(static_cast<double>(n)); };
  return concat("audit  ", r.model, "\n       ", r.batch, "; ", count(r.parameters), " parameters, ",
                r.trained == r.parameters ? "all" : count(r.trained) + " of them", " trained\n       ",
                name_of(r.device), ", ", name_of(r.precision), ", held against the CPU in float64\n\n");
}

std::string judged(double error, double tolerance) {
  return concat("error ", error_text(error), ", tolerance ", error_text(tolerance), ": ",
                error <= tolerance ? "ok" : "FAILED", "\n");
}

std::string verdict(const AuditReport& r) {
  const int64_t failures = r.failures();
  std::string text = concat(
      "\nop alone    an op by itself, on inputs and gradients of the float64 step; the worst:\n            ",
      judged(worse(r.total.forward.alone, r.total.backward.alone), r.tolerance.op),
      "whole step  the same tensors in the running step, where rounding adds up; judged are the loss, ",
      format("%.8g", r.loss), "\n            (in float64 ", format("%.8g", r.exact_loss),
      "), and the gradient of all parameters, |g - r| / |r|:\n            loss ",
      judged(r.loss_error, r.tolerance.step), "            gradient ",
      judged(r.gradient_error, r.tolerance.step), "tolerance   ", r.tolerance.reason,
      "\ntime        the step ", format("%.3f", r.step_ms), " ms forward and backward; of ", r.repeats,
      " runs the fastest\nverdict     ");
  if (failures == 0) return text + "passed\n";
  text += concat("FAILED, ", failures, " outside the tolerance");
  std::vector<std::string> names;
  for (const AuditRow& row : r.rows)
    if (row.failed) names.push_back(concat(row.op, " #", row.first));
  for (size_t i = 0; i < std::min<size_t>(names.size(), 4); ++i) text += (i == 0 ? ": " : ", ") + names[i];
  return text + (names.size() > 4 ? ", ..\n" : "\n");
}

}  // namespace

std::string audit_table(const AuditReport& r) {
  const bool numbered = static_cast<int64_t>(r.rows.size()) == r.ops;
  Cells total = cells_of(r.total, false);
  total[0] = "total";
  total[1] = total[2] = "";
  total[3] = std::to_string(r.ops);
  std::vector<Cells> table{
      {"op", "in src/ops", "shape", "", "FLOP", "bytes", "ms", "fwd", "bwd", "fwd", "bwd"}};
  for (const AuditRow& row : r.rows) table.push_back(cells_of(row, numbered));
  table.push_back(total);
  std::array<size_t, 11> widths{};
  for (const Cells& cells : table)
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  widths[8] = std::max(widths[8], widths[7] > 6 ? 0 : 7 - widths[7]);
  widths[10] = std::max(widths[10], widths[9] > 8 ? 0 : 9 - widths[9]);

  const size_t step = widths[9] + 1 + widths[10];
  const std::string names = line_of(table.front(), widths), rule = std::string(names.size(), '-') + "\n";
  std::string text = head(r) + padded("op alone", names.size() - step - 2, false) + "  " +
                     padded("whole step", step, false) + "\n" + names + "\n" + rule;
  for (size_t i = 0; i < r.rows.size(); ++i)
    text += line_of(table[i + 1], widths, r.rows[i].failed ? '!' : ' ') + "\n";
  return text + rule + line_of(total, widths) + "\n" + verdict(r);
}

namespace {

nlohmann::ordered_json pass_json(const AuditPass& p) {
  return {{"flop", p.flop}, {"bytes", p.bytes}, {"ms", p.ms}, {"error", p.alone}, {"step_error", p.step}};
}

nlohmann::ordered_json row_json(const AuditRow& row) {
  nlohmann::ordered_json j{{"op", row.op},          {"equations", row.equations},
                           {"inputs", row.inputs},  {"result", row.result.str()},
                           {"first", row.first},    {"calls", row.calls},
                           {"passed", !row.failed}, {"forward", pass_json(row.forward)}};
  j["backward"] = row.has_backward ? pass_json(row.backward) : nlohmann::ordered_json();
  return j;
}

}  // namespace

nlohmann::ordered_json audit_json(const AuditReport& r) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const AuditRow& row : r.rows) rows.push_back(row_json(row));
  return {{"model", r.model},
          {"batch", r.batch},
          {"device", name_of(r.device)},
          {"precision", name_of(r.precision)},
          {"parameters", r.parameters},
          {"trained", r.trained},
          {"tolerance", {{"op", r.tolerance.op}, {"step", r.tolerance.step}}},
          {"passed", r.failures() == 0},
          {"loss", {{"value", r.loss}, {"float64", r.exact_loss}, {"error", r.loss_error}}},
          {"gradient",
           {{"error", r.gradient_error},
            {"worst_parameter", r.worst_parameter},
            {"worst_error", r.worst_parameter_error}}},
          {"ops", r.ops},
          {"step_ms", r.step_ms},
          {"repeats", r.repeats},
          {"total", {{"forward", pass_json(r.total.forward)}, {"backward", pass_json(r.total.backward)}}},
          {"rows", rows}};
}

}  // namespace gmail
