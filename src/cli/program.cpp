#include "cli/program.h"

#include "core/build_info.h"
#include "core/parallel_for.h"
#include "io/files.h"

namespace gmail::cli {

std::vector<std::string>& arguments() {
  static std::vector<std::string> all;
  return all;
}

std::string version_text() {
  const BuildInfo b = build_info();
  return concat("gmail ", b.version, " (", b.commit, ")\ncompiler: ", b.compiler, ", ", b.flags,
                "\nCUDA: ", b.cuda, "\nCBLAS: ", b.cblas);
}

Command::Command(CLI::App& parent, const std::string& name, const std::string& help,
                 std::function<void(Command&)> run)
    : app_(parent.add_subcommand(name, help)), run_(std::move(run)) {
  option("config", common_.config, "JSON file of options (keys as the flags, without the dashes)");
  option("device", common_.device, "auto | cpu | cuda")->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  option("threads", common_.threads, "CPU threads, 0 = one per core");
  option("seed", common_.seed, "seed of all random numbers");
  app_->final_callback([this] { start(); });
}

void Command::start() {
  if (!common_.config.empty()) read_config();
  GMAIL_INPUT(common_.threads >= 0, "--threads: expected 0 or more, found ", common_.threads);
  GMAIL_INPUT(common_.device != "cuda",
              "--device cuda: this build has no CUDA backend (see gmail --version)");
  set_num_threads(common_.threads);
  run_(*this);
}

namespace {
std::string as_argument(const nlohmann::json& value, const std::string& file, const std::string& key) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  GMAIL_INPUT(value.is_number(), file, ": field \"", key,
              "\": expected a string, a number or a boolean, found ", value.dump());
  return value.dump();
}
}  // namespace

void Command::read_config() {
  const std::string& file = common_.config;
  nlohmann::json config;
  try {
    config = nlohmann::json::parse(read_text(file));
  } catch (const nlohmann::json::parse_error& e) {
    throw InputError(concat(file, ": not JSON: ", e.what()));
  }
  GMAIL_INPUT(config.is_object(), file, ": expected an object, found ", config.type_name());
  for (const auto& [key, value] : config.items()) {
    CLI::Option* const found = key == "config" ? nullptr : app_->get_option_no_throw("--" + key);
    GMAIL_INPUT(found != nullptr, file, ": unknown field \"", key, "\" (gmail ", app_->get_name(),
                " --help lists them)");
    if (found->count() > 0) continue;  // the command line wins
    found->add_result(as_argument(value, file, key));
    try {
      found->run_callback();
    } catch (const CLI::ParseError& e) {
      throw InputError(concat(file, ": field \"", key, "\": ", e.what()));
    }
  }
}

nlohmann::json Command::resolved() const {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [name, value] : dumps_)
    if (name != "config") all[name] = value();
  return all;
}

std::string Command::command_line() const {
  std::string line;
  for (const std::string& argument : arguments()) {
    const bool plain =
        argument.find_first_of(" \t\n\"'$&|;<>*?()\\") == std::string::npos && !argument.empty();
    line += (line.empty() ? "" : " ") + (plain ? argument : "'" + argument + "'");
  }
  return line;
}

}  // namespace gmail::cli
