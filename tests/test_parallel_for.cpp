// Protects parallel_for: every index once and in the chunks that the sizes alone decide, calls from inside a
// body and from several threads at once, exceptions, a changing number of threads.
#include "catch.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/parallel_for.h"
#include "threads.h"

using namespace gmail;
using test::Threads;

namespace {

bool each_once(int64_t n, int64_t grain) {
  std::vector<std::atomic<int>> count(static_cast<size_t>(n));
  std::atomic<bool> borders = true;
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    if (begin % grain != 0 || end != std::min(n, begin + grain)) borders = false;
    for (int64_t i = begin; i < end; ++i) count[static_cast<size_t>(i)].fetch_add(1);
  });
  return borders && std::all_of(count.begin(), count.end(), [](const auto& c) { return c == 1; });
}

}  // namespace

TEST_CASE("parallel_for: every index once, in chunks of the grain") {
  for (const int threads : {1, 2, 4, 5}) {
    const Threads scope(threads);
    CHECK(num_threads() == threads);
    for (const int64_t n : {1, 2, 7, 64, 1000, 1003})
      for (const int64_t grain : {1, 3, 10, 64, 2000}) CHECK(each_once(n, grain));
  }
}

TEST_CASE("parallel_for: nothing to do") {
  int calls = 0;
  parallel_for(0, 1, [&](int64_t, int64_t) { ++calls; });
  parallel_for(-3, 1, [&](int64_t, int64_t) { ++calls; });
  CHECK(calls == 0);
}

TEST_CASE("parallel_for: a grain of zero is one of one") {
  int calls = 0;
  parallel_for(3, 0, [&](int64_t begin, int64_t end) { calls += static_cast<int>(end - begin); });
  CHECK(calls == 3);
}

// A worker that comes late must not join a closed job.
TEST_CASE("parallel_for: many short jobs one after the other") {
  const Threads scope(4);
  std::atomic<int64_t> sum = 0;
  for (int job = 0; job < 5000; ++job)
    parallel_for(8, 1, [&, job](int64_t begin, int64_t) { sum += begin + job; });
  CHECK(sum == 5000 * 28 + 8LL * 5000 * 4999 / 2);
}

TEST_CASE("parallel_for: inside a body it runs on the same thread") {
  const Threads scope(3);
  std::atomic<int> other = 0, sum = 0;
  parallel_for(6, 1, [&](int64_t, int64_t) {
    const auto self = std::this_thread::get_id();
    parallel_for(10, 1, [&](int64_t, int64_t) {
      sum += 1;
      if (std::this_thread::get_id() != self) other += 1;
    });
  });
  CHECK(sum == 60);
  CHECK(other == 0);
}

TEST_CASE("parallel_for: inside a body every index comes once, also in longer chunks") {
  const Threads scope(4);
  std::atomic<int64_t> sum = 0;
  parallel_for(20, 1, [&](int64_t begin, int64_t) {
    parallel_for(10, 3, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) sum += begin * 10 + i;
    });
  });
  CHECK(sum == 199 * 200 / 2);
}

TEST_CASE("parallel_for: two threads may call it at once") {
  const Threads scope(3);
  std::atomic<bool> right = true;
  const auto work = [&] {
    for (int i = 0; i < 200; ++i)
      if (!each_once(50, 3)) right = false;
  };
  std::thread second(work);
  work();
  second.join();
  CHECK(right);
}

TEST_CASE("parallel_for: the first exception arrives at the caller and the pool lives on") {
  for (const int threads : {1, 4}) {
    const Threads scope(threads);
    for (int round = 0; round < 20; ++round)
      CHECK_THROWS_WITH(parallel_for(100, 1,
                                     [](int64_t begin, int64_t) {
                                       if (begin == 37) throw std::runtime_error("at 37");
                                     }),
                        "at 37");
    CHECK(each_once(100, 1));
  }
}
