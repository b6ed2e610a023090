// Protects the training loop: a run that was killed and resumed is the straight run, bit for bit, log and
// weights; interrupts save; a number that is not finite stops with the tensor's name; options that differ are
// refused.
#include "train/trainer.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <deque>
#include <fstream>
#include <limits>
#include <thread>

#include "catch.h"
#include "gradcheck.h"
#include "io/files.h"
#include "temporary.h"
#include "train/ema.h"
#include "train/interrupt.h"
#include "train/progress.h"

using namespace gmail;
using namespace gmail::test;
using nlohmann::json;

namespace {

// Fits w x + b to noisy targets drawn anew in each step; the gradient is written out by hand.
struct Line {
  Param w{"w", Tensor::zeros({4, 6}), {}, true, true};
  Param b{"b", Tensor::zeros({4}), {}, true, false};
  Param unused{"unused", Tensor::full({3}, 1), {}, true, false};
  Param frozen{"frozen", Tensor::full({2}, 5), {}, false, true};

  Line() { fill_normal(w.value, 1, 3, Purpose::init); }
  [[nodiscard]] ParamList list() { return {&w, &b, &unused, &frozen}; }

  StepResult step(int64_t k) {
    Rng rng(7, Purpose::noise, static_cast<uint64_t>(k));
    double loss = 0;
    for (int64_t o = 0; o < 4; ++o) {
      const double x = rng.normal(), target = 3 * x + static_cast<double>(o) + 0.1 * rng.normal();
      double y = b.value.at(o);
      for (int64_t i = 0; i < 6; ++i) y += w.value.at(o * 6 + i) * x;
      const double error = y - target;
      loss += error * error / 2;
      for (int64_t i = 0; i < 6; ++i) w.slot.grad.data<float>()[o * 6 + i] = static_cast<float>(error * x);
      b.slot.grad.data<float>()[o] = static_cast<float>(error);
    }
    w.slot.written = b.slot.written = true;
    return {Tensor::full({1}, loss, DType::float64), {{"bias", {b.value.rows(0, 1)}}}, 4};
  }
};

TrainOptions options_for(const std::filesystem::path& out) {
  TrainOptions o;
  o.out = out;
  o.steps = 60;
  o.lr = 0.05;
  o.schedule = {.kind = ScheduleKind::cosine, .warmup = 5};
  o.clip = 1;
  o.ema_decay = 0.9;
  o.save_every = 7;
  o.quiet = true;
  o.config = {{"width", 6}};
  return o;
}

// Trains and saves weights and average, as a program does.
TrainReport run(const TrainOptions& o, const std::function<void(int64_t)>& before_step = {}) {
  Line line;
  const TrainReport report = train(Context(), o, line.list(), [&](int64_t k) {
    if (before_step) before_step(k);
    return line.step(k);
  });
  save_params(o.out / "model.safetensors", line.list());
  apply_ema(line.list(), report.ema);
  save_params(o.out / "ema.safetensors", line.list());
  return report;
}

// The log without what depends on the clock.
std::vector<json> log_of(const std::filesystem::path& out) {
  std::ifstream file(out / "log.jsonl");
  std::vector<json> lines;
  for (std::string text; std::getline(file, text);) {
    lines.push_back(json::parse(text));
    CHECK(lines.back().erase("seconds") == 1);
    CHECK(lines.back().erase("items_per_s") == 1);
  }
  return lines;
}

void check_same_run(const std::filesystem::path& a, const std::filesystem::path& b) {
  for (const char* name : {"model.safetensors", "ema.safetensors", "checkpoint.safetensors"})
    CHECK(read_text(a / name) == read_text(b / name));
  CHECK(log_of(a) == log_of(b));
}

}  // namespace

TEST_CASE("trainer: it learns, logs every step, and leaves frozen and unused parameters alone") {
  const TemporaryDir dir;
  auto o = options_for(dir / "run");
  o.steps = 400;
  Line line;
  int64_t after = 0;
  const TrainReport report = train(
      Context(), o, line.list(), [&](int64_t k) { return line.step(k); },
      [&](int64_t k) { CHECK(k == after++); });
  CHECK(after == 400);
  CHECK(report.first_step == 0);
  CHECK(report.loss < 0.5);
  CHECK(line.unused.value.at(0) == 1);
  CHECK(line.frozen.value.at(0) == 5);
  CHECK_FALSE(line.w.slot.grad.defined());
  const auto log = log_of(o.out);
  REQUIRE(log.size() == 400);
  CHECK(log[0]["step"] == 1);
  CHECK(log[399]["step"] == 400);
  CHECK(log[399]["loss"] == report.loss);
  CHECK(log[0]["lr"].get<double>() == Approx(0.01));
  CHECK(log[0]["grad_norm"].get<double>() > 1);  // before clipping
  CHECK(log[0].contains("bias"));
  CHECK(log[0]["loss"].get<double>() > 10 * report.loss);
}

TEST_CASE("trainer: resumed is straight, whatever the moment of the end") {
  const TemporaryDir dir;
  run(options_for(dir / "straight"));
  for (const int64_t end : {3, 7, 8, 30, 59}) {
    auto o = options_for(dir / ("cut" + std::to_string(end)));
    o.resume = true;  // without a checkpoint it begins at the start
    CHECK_THROWS_WITH(run(o, [&](int64_t k) { GMAIL_CHECK(k != end, "power cut"); }), "power cut");
    write_without_flush(o.out / "checkpoint.safetensors.partial", "half a file");
    std::ofstream(o.out / "log.jsonl", std::ios::app) << "{\"step\": 9";
    const TrainReport report = run(o);
    CHECK(report.first_step == end / 7 * 7);
    check_same_run(dir / "straight", o.out);
  }
  auto o = options_for(dir / "straight");
  o.resume = true;
  const std::string before = read_text(o.out / "model.safetensors");
  const TrainReport report = run(o);  // there is nothing left to do
  CHECK(report.first_step == 60);
  CHECK(std::isnan(report.loss));
  CHECK(read_text(o.out / "model.safetensors") == before);
  CHECK(log_of(o.out).size() == 60);
}

TEST_CASE("trainer: without --resume a folder is used anew") {
  const TemporaryDir dir;
  auto o = options_for(dir / "run");
  run(o);
  CHECK_THROWS_WITH(run(o, [](int64_t k) { GMAIL_CHECK(k != 3, "power cut"); }), "power cut");
  CHECK_FALSE(std::filesystem::exists(o.out / "checkpoint.safetensors"));
  CHECK(log_of(o.out).size() == 3);
}

TEST_CASE("trainer: Ctrl-C finishes the step, saves, and says how to go on") {
  const TemporaryDir dir;
  run(options_for(dir / "straight"));
  auto o = options_for(dir / "run");
  o.command = "gmail pretrain --out x";
  for (const auto& [signal, step] : {std::pair(SIGINT, 10), std::pair(SIGTERM, 25)}) {
    try {
      run(o, [&](int64_t k) {
        if (k == step) std::raise(signal);
      });
      FAIL("it went on");
    } catch (const Interrupted& e) {
      CHECK(e.exit_code() == 130);
      CHECK(std::string(e.what()) ==
            concat("interrupted at step ", step + 1, "; continue with: gmail pretrain --out x --resume"));
    }
    o.resume = true;
  }
  CHECK(run(o).first_step == 26);
  check_same_run(dir / "straight", o.out);
  CHECK_THAT(how_to_continue("step 1", "a --resume"), Contains("continue with: a --resume"));
  CHECK(how_to_continue("x", "a --resume --b") == "interrupted at x; continue with: a --resume --b");
}

TEST_CASE("trainer: a checkpoint of another run is refused with what differs") {
  const TemporaryDir dir;
  auto o = options_for(dir / "run");
  run(o);
  o.resume = true;
  o.lr = 0.1;
  o.config["width"] = 7;
  const std::string checkpoint = read_text(o.out / "checkpoint.safetensors");
  CHECK_THROWS_WITH(run(o), Contains("/config/width is 6 there, 7 here, /lr is 0.05 there, 0.1 here"));
  CHECK_THROWS_AS(run(o), InputError);
  o = options_for(dir / "run");
  o.resume = true;
  o.save_every = 1;  // does not touch the result
  o.log_every = 5;
  CHECK_NOTHROW(run(o));
  CHECK(read_text(o.out / "checkpoint.safetensors") == checkpoint);
  Line line;
  line.frozen.value.fill(6);
  CHECK_THROWS_WITH(train(Context(), o, line.list(), [&](int64_t k) { return line.step(k); }),
                    Contains("/frozen_weights is"));
  o.clip = -1;
  CHECK_THROWS_WITH(run(o), "clip must be 0 or more, got -1");
}

TEST_CASE("trainer: what is not finite stops the run by name and keeps the last checkpoint") {
  const TemporaryDir dir;
  const auto o = options_for(dir / "run");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto failure = [&](const std::function<void(Line&, StepResult&)>& spoil) {
    Line line;
    try {
      train(Context(), o, line.list(), [&](int64_t k) {
        StepResult r = line.step(k);
        if (k == 9) spoil(line, r);
        return r;
      });
    } catch (const Error& e) {
      CHECK(e.exit_code() == 1);
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK_THAT(failure([&](Line& l, StepResult&) { l.b.slot.grad.data<float>()[1] = nan; }),
             Contains("step 10: loss ") && Contains("gradient norm nan") && Contains("the gradient of 'b'"));
  CHECK_THAT(failure([&](Line& l, StepResult& r) { l.w.value.data<float>()[1] = nan, r.loss.fill(nan); }),
             Contains("loss nan") && Contains("the value of 'w'"));
  CHECK_THAT(failure([&](Line&, StepResult& r) { r.loss.fill(std::numeric_limits<double>::infinity()); }),
             Contains("loss inf") && Contains("the loss alone"));
  CHECK(SafetensorsFile(o.out / "checkpoint.safetensors").metadata().at("step") == "7");
  CHECK(log_of(o.out).size() == 9);
}

// Not run by itself: the program that the next test kills.
TEST_CASE("trainer child", "[.trainer-child]") {
  const char* out = std::getenv("GMAIL_TEST_OUT");
  REQUIRE(out != nullptr);
  auto o = options_for(out);
  o.resume = true;
  run(o, [](int64_t) { std::this_thread::sleep_for(std::chrono::milliseconds(3)); });
}

TEST_CASE("trainer: killed with SIGKILL again and again, it ends in the same bytes") {
  const TemporaryDir dir;
  run(options_for(dir / "straight"));
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  std::string program = self, filter = "[.trainer-child]";
  std::string variable = "GMAIL_TEST_OUT=" + (dir / "killed").string();
  char* const argv[] = {program.data(), filter.data(), nullptr};
  char* const environment[] = {variable.data(), nullptr};
  Rng rng(static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()), Purpose::test);
  posix_spawn_file_actions_t silent;
  posix_spawn_file_actions_init(&silent);
  posix_spawn_file_actions_addopen(&silent, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  int kills = 0, status = 0;
  for (int attempt = 0; attempt < 200; ++attempt) {
    pid_t child = 0;
    REQUIRE(posix_spawn(&child, self.c_str(), &silent, nullptr, argv, environment) == 0);
    if (kills < 8) {
      std::this_thread::sleep_for(std::chrono::microseconds(10'000 + rng.below(50'000)));
      kill(child, SIGKILL);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status)) break;
    ++kills;
  }
  posix_spawn_file_actions_destroy(&silent);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(kills > 0);
  check_same_run(dir / "straight", dir / "killed");
}

TEST_CASE("progress: numbers for people") {
  CHECK(duration_text(75.4) == "1:15");
  CHECK(duration_text(3700) == "1:01:40");
  CHECK(duration_text(-1) == "0:00");
  CHECK(count_text(0) == "0");
  CHECK(count_text(999) == "999");
  CHECK(count_text(1234567) == "1,234,567");
  CHECK(count_text(-123456) == "-123,456");
}
