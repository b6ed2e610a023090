#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"

namespace gmail {
namespace {

constexpr ScheduleKind kKinds[] = {ScheduleKind::constant, ScheduleKind::cosine,
                                   ScheduleKind::cosine_restarts, ScheduleKind::linear};

double ratio(int64_t a, int64_t b) {
  return static_cast<double>(a) / static_cast<double>(std::max<int64_t>(b, 1));
}

}  // namespace

std::string name_of(ScheduleKind kind) {
  switch (kind) {
    case ScheduleKind::constant:
      return "constant";
    case ScheduleKind::cosine:
      return "cosine";
    case ScheduleKind::cosine_restarts:
      return "cosine-restarts";
    case ScheduleKind::linear:
      return "linear";
  }
  return "?";
}

ScheduleKind schedule_from(const std::string& name) {
  for (const ScheduleKind kind : kKinds)
    if (name_of(kind) == name) return kind;
  throw InputError(
      concat("unknown schedule '", name, "', expected constant, cosine, cosine-restarts or linear"));
}

double learning_rate(const Schedule& s, double lr, int64_t step, int64_t steps) {
  GMAIL_CHECK(s.warmup >= 0 && s.period >= 0 && s.mult >= 1, "[schedule] warmup ", s.warmup, ", period ",
              s.period, ", mult ", s.mult);
  if (step < s.warmup) return lr * ratio(step + 1, s.warmup);  // (1)
  int64_t e = step - s.warmup, length = steps - s.warmup;
  const auto cosine = [&](double x) {
    return lr * (s.floor + (1 - s.floor) * 0.5 * (1 + std::cos(std::numbers::pi * std::min(x, 1.0))));
  };
  switch (s.kind) {
    case ScheduleKind::constant:
      return lr;  // (2)
    case ScheduleKind::linear:
      return lr * std::max(0.0, 1 - ratio(e, length));  // (5)
    case ScheduleKind::cosine:
      return cosine(ratio(e, length));  // (3)
    case ScheduleKind::cosine_restarts:
      break;
  }
  if (s.period > 0) length = s.period;
  while (s.period > 0 && e >= length) {
    if (s.mult == 1)
      e %= length;
    else
      e -= length, length *= s.mult;
  }
  return cosine(ratio(e, length));  // (4)
}

}  // namespace gmail
