#include "eval/spice.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "core/check.h"
#include "io/files.h"
#include "io/json.h"
#include "io/lines.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "gmail_spice_XXXXXX").string();
    GMAIL_CHECK(::mkdtemp(name.data()) != nullptr, "spice: no temporary folder ", name);
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

fs::path jar_of(const SpiceOptions& options) { return fs::absolute(options.folder) / "spice-1.0.jar"; }

std::string find_java() {
  const char* const path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    const fs::path java = fs::path(folder) / "java";
    if (::access(java.c_str(), X_OK) == 0 && fs::is_regular_file(java)) return java.string();
  }
  throw InputError("--spice: no java on the PATH; the SPICE program needs Java 8 or later");
}

std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

Json input_of(const std::vector<CaptionedImage>& images) {
  Json input = Json::array();
  for (size_t i = 0; i < images.size(); ++i) {
    Json references = Json::array();
    for (const Words& r : images[i].references) references.push_back(joined(r));
    input.push_back({{"image_id", i}, {"test", joined(images[i].hypothesis)}, {"refs", references}});
  }
  return input;
}

// the end of what a program said, in one line, without the calls that Java lists under an exception
std::string last_words(const fs::path& log) {
  constexpr size_t kMost = 400;
  const std::string all = read_text(log);
  std::string text;
  for_each_line(all, [&](std::string_view line, int64_t) {
    if (!line.empty() && line[0] != '\t') text += (text.empty() ? "" : " ") + std::string(line);
  });
  if (text.empty()) return "it said nothing";
  if (text.size() > kMost) text = "..." + text.substr(text.size() - kMost);
  return "it said: " + text;
}

// Starts the program as the leader of a process group; it does not outlive this process.
pid_t start(std::vector<std::string> arguments, const fs::path& log) {
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  GMAIL_CHECK(child >= 0, "spice: cannot start a process");
  if (child > 0) {
    ::setpgid(child, child);  // here too: whoever comes first
    return child;
  }
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int in = ::open("/dev/null", O_RDONLY), out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (in < 0 || out < 0 || ::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(out, 2) < 0) ::_exit(127);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

// Its exit status, as of waitpid; the group is killed, and an Error thrown, after `seconds`.
int wait_for(pid_t child, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  for (;;) {
    int status = 0;
    const pid_t done = ::waitpid(child, &status, WNOHANG);
    if (done == child) return status;
    GMAIL_CHECK(done == 0, "spice: lost the program that was started");
    if (Clock::now() >= end) {
      ::kill(-child, SIGKILL);
      ::waitpid(child, &status, 0);
      throw Error(concat("spice: not done after ", seconds, " s, stopped (--spice-timeout)"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// scores.All.f by the image_id that was given
std::vector<double> read_scores(const fs::path& file, size_t images) {
  const std::string name = "spice: its output";
  const Json all = parse_json(read_text(file), name);
  GMAIL_CHECK(all.is_array() && all.size() == images, name, ": expected a list of ", images, ", found ",
              describe(all));
  std::vector<double> scores(images, std::nan(""));
  for (const Json& one : all) {
    const Json f = one.value("/scores/All/f"_json_pointer, Json());
    const Json id = one.value("/image_id"_json_pointer, Json());
    GMAIL_CHECK(
        id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<size_t>() < images && f.is_number(), name,
        ": expected an image_id below ", images, " and scores.All.f, found ", describe(one));
    scores[id.get<size_t>()] = f.get<double>();
  }
  for (const double f : scores) GMAIL_CHECK(!std::isnan(f), name, ": an image has no score");
  return scores;
}

}  // namespace

void check_spice(const SpiceOptions& options) {
  GMAIL_INPUT(fs::is_regular_file(jar_of(options)), "--spice: no spice-1.0.jar in ", options.folder.string());
  (void)find_java();
}

CaptionScore spice(const std::vector<CaptionedImage>& images, const SpiceOptions& options) {
  check_spice(options);
  const ScratchFolder scratch;
  const fs::path in = scratch / "in.json", out = scratch / "out.json", log = scratch / "log.txt";
  write_json(in, input_of(images));
  const pid_t child = start({find_java(), "-Xmx8G", "-jar", jar_of(options).string(), in.string(), "-out",
                             out.string(), "-subset", "-silent"},
                            log);
  const int status = wait_for(child, options.timeout);
  GMAIL_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "spice: the program failed (",
              WIFEXITED(status) ? "exit code " : "signal ",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), "); ", last_words(log));
  GMAIL_CHECK(fs::is_regular_file(out), "spice: the program wrote no output; ", last_words(log));
  CaptionScore score{0, read_scores(out, images.size())};
  for (const double f : score.each) score.mean += f / static_cast<double>(images.size());
  return score;
}

}  // namespace gmail
