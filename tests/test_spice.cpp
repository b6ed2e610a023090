// Protects SPICE by the user's program: what it is given and how its answer is read, and that every way in
// which it can fail is said. A small script stands for java.
#include "catch.h"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "core/check.h"
#include "desk.h"
#include "eval/spice.h"

using namespace gmail;
using namespace gmail::test;
using nlohmann::json;

namespace {

namespace fs = std::filesystem;

// A folder with an empty jar, and a java of these lines first on the PATH.
class Java {
 public:
  explicit Java(const std::string& script) {
    const char* const path = std::getenv("PATH");
    path_ = path != nullptr ? path : "";
    desk.write("spice-1.0.jar", "");
    if (!script.empty()) {
      desk.write("java", "#!/bin/sh\n" + script);
      fs::permissions(desk.dir / "java", fs::perms::owner_all);
    }
    ::setenv("PATH", (desk.dir.path().string() + (script.empty() ? "" : ":" + path_)).c_str(), 1);
  }
  ~Java() { ::setenv("PATH", path_.c_str(), 1); }
  Java(const Java&) = delete;
  Java& operator=(const Java&) = delete;

  [[nodiscard]] CaptionScore score(double timeout = 20) const {
    return spice({{{"a", "red", "ball"}, {{"one", "ball"}, {"a", "ball"}}}, {{"cube"}, {{"box"}}}},
                 {desk.dir.path(), timeout});
  }
  [[nodiscard]] std::string failure(double timeout = 20) const {
    try {
      (void)score(timeout);
    } catch (const Error& e) {
      return std::to_string(e.exit_code()) + " " + e.what();
    }
    return "";
  }
  Desk desk;

 private:
  std::string path_;
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("spice: what the program is given, and its answer in another order") {
  const Java java(R"(cp "$4" "$(dirname "$0")/in.json"; echo "$@" >"$(dirname "$0")/said"
echo '[{"image_id": 1, "scores": {"All": {"f": 0.25, "pr": 1}}},
       {"image_id": 0, "scores": {"All": {"f": 1}}}]' >"$6")");
  const CaptionScore s = java.score();
  CHECK(s.each == std::vector<double>{1, 0.25});
  CHECK(s.mean == 0.625);
  CHECK(java.desk.json("in.json") ==
        json::parse(R"([{"image_id": 0, "test": "a red ball", "refs": ["one ball", "a ball"]},
                        {"image_id": 1, "test": "cube", "refs": ["box"]}])"));
  const std::string said = read_text(java.desk.dir / "said");
  CHECK(said.starts_with("-Xmx8G -jar " + (java.desk.dir / "spice-1.0.jar").string() + " "));
  CHECK(said.ends_with(" -subset -silent\n"));
}

TEST_CASE("spice: every failure is said") {
  CHECK(has(Java("").failure(), "2 --spice: no java on the PATH"));
  {
    const Java java("exit 0");
    fs::remove(java.desk.dir / "spice-1.0.jar");
    CHECK(has(java.failure(), "2 --spice: no spice-1.0.jar in " + java.desk.dir.path().string()));
  }
  CHECK(Java("echo loading; echo 'NoClassDefFoundError: edu' >&2; exit 3").failure() ==
        "1 spice: the program failed (exit code 3); it said: loading NoClassDefFoundError: edu");
  CHECK(has(Java("kill -9 $$").failure(), "1 spice: the program failed (signal 9)"));
  CHECK(has(Java("exit 0").failure(), "1 spice: the program wrote no output; it said nothing"));
  CHECK(has(Java("echo '[{' >\"$6\"").failure(), "spice: its output:"));
  CHECK(has(Java("echo '[]' >\"$6\"").failure(), "expected a list of 2, found []"));
  CHECK(has(Java(R"(echo '[{"image_id": 0, "scores": {}}, {"image_id": 1}]' >"$6")").failure(),
            "expected an image_id below 2 and scores.All.f"));
  CHECK(has(Java(R"(echo '[{"image_id": 0, "scores": {"All": {"f": 1}}},
                           {"image_id": 0, "scores": {"All": {"f": 1}}}]' >"$6")")
                .failure(),
            "an image has no score"));
}

TEST_CASE("spice: a program that takes too long goes, with what it started") {
  const Java java(R"(sleep 60 & echo $! >"$(dirname "$0")/child"; wait)");
  CHECK(has(java.failure(0.3), "1 spice: not done after 0.3 s, stopped (--spice-timeout)"));
  const int child = std::stoi(read_text(java.desk.dir / "child"));
  bool gone = false;  // or, without init, a zombie
  for (int i = 0; i < 100 && !gone; ++i) {
    std::ifstream file("/proc/" + std::to_string(child) + "/stat");
    gone = !file || has({std::istreambuf_iterator<char>(file), {}}, ") Z ");
    if (!gone) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(gone);
}
