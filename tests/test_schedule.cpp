// Protects the learning rate schedules: each equation at its corners and between.
#include "train/schedule.h"

#include <cmath>

#include "catch.h"
#include "core/check.h"

using namespace gmail;

namespace {
double rate(const Schedule& s, int64_t step) { return learning_rate(s, 2.0, step, 110); }
}  // namespace

TEST_CASE("schedule: warm-up is the same for all") {
  for (const auto kind :
       {ScheduleKind::constant, ScheduleKind::cosine, ScheduleKind::cosine_restarts, ScheduleKind::linear}) {
    const Schedule s{.kind = kind, .warmup = 10};
    CHECK(rate(s, 0) == Approx(0.2));
    CHECK(rate(s, 4) == Approx(1.0));
    CHECK(rate(s, 9) == Approx(2.0));
    CHECK(rate(s, 10) == Approx(2.0));
    CHECK(schedule_from(name_of(kind)) == kind);
  }
  CHECK_THROWS_WITH(schedule_from("cosin"),
                    "unknown schedule 'cosin', expected constant, cosine, cosine-restarts or linear");
}

TEST_CASE("schedule: constant, cosine, linear") {
  CHECK(rate({.kind = ScheduleKind::constant, .warmup = 10}, 109) == 2.0);
  const Schedule cosine{.kind = ScheduleKind::cosine, .warmup = 10};
  CHECK(rate(cosine, 60) == Approx(1.0));
  CHECK(rate(cosine, 35) == Approx(1 + std::sqrt(0.5)));
  CHECK(rate(cosine, 110) == Approx(0.0).margin(1e-12));
  CHECK(rate(cosine, 500) == Approx(0.0).margin(1e-12));
  CHECK(rate({.kind = ScheduleKind::cosine, .warmup = 10, .floor = 0.1}, 60) == Approx(1.1));
  CHECK(rate({.kind = ScheduleKind::cosine, .warmup = 10, .floor = 0.1}, 110) == Approx(0.2));
  const Schedule linear{.kind = ScheduleKind::linear, .warmup = 10};
  CHECK(rate(linear, 60) == Approx(1.0));
  CHECK(rate(linear, 109) == Approx(0.02));
  CHECK(rate(linear, 200) == 0.0);
}

TEST_CASE("schedule: cosine with warm restarts") {
  const Schedule even{.kind = ScheduleKind::cosine_restarts, .warmup = 10, .period = 20};
  for (const int64_t start : {10, 30, 50, 90}) {
    CHECK(rate(even, start) == Approx(2.0));
    CHECK(rate(even, start + 10) == Approx(1.0));
    CHECK(rate(even, start + 19) == Approx(1 + std::cos(std::acos(-1) * 19 / 20)));
  }
  const Schedule growing{.kind = ScheduleKind::cosine_restarts, .warmup = 0, .period = 10, .mult = 3};
  CHECK(rate(growing, 5) == Approx(1.0));
  CHECK(rate(growing, 10) == Approx(2.0));  // periods [0,10) [10,40) [40,130)
  CHECK(rate(growing, 25) == Approx(1.0));
  CHECK(rate(growing, 40) == Approx(2.0));
  CHECK(rate(growing, 85) == Approx(1.0));
  const Schedule single{.kind = ScheduleKind::cosine_restarts, .warmup = 10};
  CHECK(rate(single, 60) == Approx(1.0));
}

TEST_CASE("schedule: no steps, all warm-up") {
  CHECK(learning_rate({.kind = ScheduleKind::cosine, .warmup = 5}, 1, 4, 5) == 1.0);
  CHECK(learning_rate({.kind = ScheduleKind::cosine}, 1, 0, 1) == 1.0);
  CHECK_THROWS_AS(learning_rate({.kind = ScheduleKind::cosine, .warmup = -1}, 1, 0, 1), Error);
}
