#include "core/parallel_for.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace gmail {
namespace {

thread_local bool inside_body = false;

constexpr int kSpins = 2000;  // some 50 microseconds

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

void run_here(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  for (int64_t begin = 0; begin < n; begin += grain) body(begin, std::min(begin + grain, n));
}

// One job at a time. Workers spin for a short while before they sleep: ops follow each other within
// microseconds. The caller waits only for workers that have entered the job; one that wakes up late finds it
// closed.
class Pool {
 public:
  ~Pool() { resize(1); }

  [[nodiscard]] int size() const { return size_.load(std::memory_order_relaxed); }

  void resize(int n) {
    const std::lock_guard one_job(run_mutex_);
    stop_ = true;
    ticket_.fetch_add(1);
    ticket_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stop_ = false;
    const uint32_t ticket = ticket_.load();
    for (int i = 1; i < n; ++i) workers_.emplace_back([this, ticket] { work(ticket); });
    size_ = n;
  }

  void run(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
    const std::unique_lock job(run_mutex_, std::try_to_lock);
    if (!job.owns_lock()) return run_here(n, grain, body);  // another thread's job has the workers
    n_ = n;
    grain_ = grain;
    body_ = &body;
    next_ = 0;
    error_ = nullptr;
    open_ = true;
    ticket_.fetch_add(1);
    ticket_.notify_all();
    take_chunks();
    open_ = false;
    for (int spin = 0; active_.load() > 0; ++spin) spin < kSpins ? pause() : std::this_thread::yield();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void take_chunks() {
    inside_body = true;
    for (int64_t begin = next_.fetch_add(grain_); begin < n_; begin = next_.fetch_add(grain_)) {
      try {
        (*body_)(begin, std::min(begin + grain_, n_));
      } catch (...) {
        const std::lock_guard lock(error_mutex_);
        if (!error_) error_ = std::current_exception();
        next_ = n_;
      }
    }
    inside_body = false;
  }

  void work(uint32_t seen) {
    for (;;) {
      for (int spin = 0; spin < kSpins && ticket_.load(std::memory_order_relaxed) == seen; ++spin) pause();
      ticket_.wait(seen);
      seen = ticket_.load();
      if (stop_) return;
      active_.fetch_add(1);  // before the look at open_: either the caller sees us or we see the job closed
      if (open_.load()) take_chunks();
      active_.fetch_sub(1);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex run_mutex_, error_mutex_;
  std::atomic<uint32_t> ticket_{0};
  std::atomic<int64_t> next_{0};
  std::atomic<int> active_{0}, size_{1};
  std::atomic<bool> open_{false}, stop_{false};
  int64_t n_ = 0, grain_ = 1;
  const std::function<void(int64_t, int64_t)>* body_ = nullptr;
  std::exception_ptr error_;
};

Pool& pool() {
  static Pool instance;
  static std::once_flag started;
  std::call_once(started,
                 [] { instance.resize(std::max(1, static_cast<int>(std::thread::hardware_concurrency()))); });
  return instance;
}

}  // namespace

void set_num_threads(int n) {
  pool().resize(n > 0 ? n : std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
}

int num_threads() { return pool().size(); }

void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (inside_body || n <= grain || pool().size() == 1) return run_here(n, grain, body);
  pool().run(n, grain, body);
}

}  // namespace gmail
