// The learning rate at step k = 0, 1, .., with base rate L, W warm-up steps and K steps in all:
//   (1)  k < W:            L (k + 1) / W                                   every schedule
//   (2)  constant          L
//   (3)  cosine            L c(e / (K - W)),   e = k - W,   c(x) = f + (1 - f) (1 + cos(pi x)) / 2
//   (4)  cosine-restarts   L c(e_i / T_i): period i has T_i = period * mult^i steps and e_i counts from its
//   start
//                          (SGDR, Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5)
//   (5)  linear            L (K - k) / (K - W)
// f = floor, the share of L that the cosine ends at.
#pragma once

#include <cstdint>
#include <string>

namespace gmail {

enum class ScheduleKind : uint8_t { constant, cosine, cosine_restarts, linear };

[[nodiscard]] std::string name_of(ScheduleKind kind);               // "cosine-restarts"
[[nodiscard]] ScheduleKind schedule_from(const std::string& name);  // InputError for an unknown name

struct Schedule {
  ScheduleKind kind = ScheduleKind::constant;
  int64_t warmup = 0;
  int64_t period = 0;  // cosine-restarts: steps of the first period; 0: all that follow the warm-up
  int64_t mult = 1;    // cosine-restarts: each period is this many times as long as the one before
  double floor = 0;
};

// Rate at step `step` of `steps`, for base rate `lr`.
[[nodiscard]] double learning_rate(const Schedule& schedule, double lr, int64_t step, int64_t steps);

}  // namespace gmail
