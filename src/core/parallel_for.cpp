#include "core/parallel_for.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace gmail {
namespace {

thread_local bool inside_body = false;

// One job at a time. Workers spin for a short while before they sleep: ops follow each other within
// microseconds.
class Pool {
 public:
  ~Pool() { resize(1); }

  [[nodiscard]] int size() const { return static_cast<int>(workers_.size()) + 1; }

  void resize(int n) {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stop_ = false;
    const uint64_t ticket = ticket_.load();
    for (int i = 1; i < n; ++i) workers_.emplace_back([this, ticket] { work(ticket); });
  }

  void run(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
    const std::lock_guard one_job(run_mutex_);
    {
      const std::lock_guard lock(mutex_);
      n_ = n;
      grain_ = grain;
      body_ = &body;
      next_ = 0;
      error_ = nullptr;
      busy_ = static_cast<int>(workers_.size());
      ticket_.fetch_add(1);
    }
    wake_.notify_all();
    take_chunks();
    while (busy_.load(std::memory_order_acquire) > 0) std::this_thread::yield();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void take_chunks() {
    inside_body = true;
    for (int64_t begin = next_.fetch_add(grain_); begin < n_; begin = next_.fetch_add(grain_)) {
      try {
        (*body_)(begin, std::min(begin + grain_, n_));
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
        next_ = n_;
      }
    }
    inside_body = false;
  }

  void work(uint64_t seen) {
    for (;;) {
      for (int spin = 0; spin < 2000 && ticket_.load(std::memory_order_acquire) == seen && !stop_; ++spin)
        __builtin_ia32_pause();
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stop_ || ticket_.load() != seen; });
        if (stop_) return;
        seen = ticket_.load();
      }
      take_chunks();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_, run_mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> ticket_{0};
  std::atomic<int64_t> next_{0};
  std::atomic<int> busy_{0};
  std::atomic<bool> stop_{false};
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
  if (inside_body || n <= grain || pool().size() == 1) {
    for (int64_t begin = 0; begin < n; begin += grain) body(begin, std::min(begin + grain, n));
    return;
  }
  pool().run(n, grain, body);
}

}  // namespace gmail
