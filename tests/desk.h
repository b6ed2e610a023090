// A folder in which the gmail program runs as a user runs it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/files.h"
#include "io/safetensors.h"
#include "temporary.h"

namespace gmail::test {

struct Outcome {
  int code = -1;
  std::string out, err;
};

struct Desk {
  TemporaryDir dir;

  // redirect: where the output goes instead of into Outcome::out
  [[nodiscard]] Outcome gmail(const std::string& arguments, const std::string& redirect = "out.txt") const;
  // runs what must work; the output
  std::string ok(const std::string& arguments) const;
  // must end with this code and one line that holds all of `parts`
  void refused(const std::string& arguments, const std::vector<std::string>& parts, int code = 2,
               const std::string& redirect = "out.txt") const;

  void write(const std::string& name, const std::string& bytes) const {
    write_without_flush(dir / name, bytes);
  }
  [[nodiscard]] bool has(const std::string& name) const { return std::filesystem::exists(dir / name); }
  [[nodiscard]] nlohmann::json json(const std::string& name) const {
    return nlohmann::json::parse(read_text(dir / name));
  }
  [[nodiscard]] Tensor tensor(const std::string& file, const std::string& name) const {
    return SafetensorsFile(dir / file).read(name);
  }

  // world/: 20 pictures of split train and 4 of test, one solid each; clip/: a tiny model, hardly trained
  void make_world() const;
  void make_model() const;
  static constexpr const char* kTrain = "--steps 2 --batch 8 --warmup 1 --quiet";
  static const char* const kModel;  // its config.json
};

}  // namespace gmail::test
