// For tests: this many threads until the end of the scope.
#pragma once

#include "core/parallel_for.h"

namespace gmail::test {

class Threads {
 public:
  explicit Threads(int n) : before_(num_threads()) { set_num_threads(n); }
  ~Threads() { set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

}  // namespace gmail::test
