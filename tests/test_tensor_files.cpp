// Protects weights on their way from files into models: a view shares the file's memory and outlives it, a
// value that will be written never does, many files are read as one and a wrong index is refused, GPT-2
// from a Hugging Face folder gives the logits that transformers gives.
#include "catch.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "autograd/functions.h"
#include "core/kept_copy.h"
#include "fuzz.h"
#include "golden.h"
#include "gradcheck.h"
#include "io/json.h"
#include "models/gpt2.h"
#include "nn/init.h"
#include "nn/param_file.h"
#include "temporary.h"

using namespace gmail;
using namespace gmail::test;

namespace {

namespace fs = std::filesystem;

// a and b in the first file, c in the second, and their index.
void write_shards(const fs::path& folder) {
  save_safetensors(folder / "one.safetensors",
                   {{"a", random({2, 3}, 1, DType::float32)}, {"b", random({4}, 2, DType::float32)}});
  save_safetensors(folder / "two.safetensors", {{"c", random({5}, 3, DType::float32)}});
  write_json(
      folder / "model.safetensors.index.json",
      {{"metadata", {{"total_size", 60}}},
       {"weight_map", {{"a", "one.safetensors"}, {"b", "one.safetensors"}, {"c", "two.safetensors"}}}});
}

std::vector<NamedTensor> golden_weights(DType type, const std::function<std::string(std::string)>& rename) {
  const SafetensorsFile file(golden_folder("gpt2") / "model.safetensors");
  std::vector<NamedTensor> tensors;
  for (const std::string& name : file.names()) tensors.push_back({rename(name), file.read(name).to(type)});
  return tensors;
}

void check_gpt2(const fs::path& folder) {
  const SafetensorsFile golden(golden_folder("gpt2") / "golden.safetensors");
  Gpt2 model = Gpt2::load(folder);
  const Context ctx;
  Tape tape(ctx, false);
  const Var hidden = model.hidden(tape, model.embed(tape, golden.read("input_ids")));
  CHECK(close(model.logits(tape, hidden).value, golden.read("logits"), 1e-5, 1e-5) == "");
}

}  // namespace

TEST_CASE("views: the file's memory, and never written") {
  const TemporaryDir dir;
  const Tensor x = random({64, 1024}, 1, DType::float32);
  save_safetensors(dir / "f", {{"x", x}, {"half", x, "F16"}, {"wide", x, "F64"}});
  const auto file = std::make_unique<SafetensorsFile>(dir / "f");
  Tensor view = file->view("x");
  const Tensor again = file->view("x"), converted = file->view("half"), wide = file->view("wide");
  CHECK(view.raw() == again.raw());
  CHECK((view.storage().read_only() && view.storage().constant));
  CHECK_FALSE((converted.storage().read_only() || wide.storage().read_only()));
  CHECK(file->view("wide", DType::float64).storage().read_only());
  CHECK(file->read("x").raw() != view.raw());
  CHECK(wide.dtype() == DType::float32);
  fs::remove(dir / "f");  // and the mapping outlives both
  CHECK(close(view, x, 0) == "");
  CHECK(close(view.rows(3, 5), x.rows(3, 5), 0) == "");
  CHECK_THROWS_WITH(view.fill(1), Contains("a tensor over a file was written"));
  CHECK_THROWS_WITH(view.copy_from(x), Contains("a tensor over a file was written"));
  CHECK_THROWS_WITH(view.data<float>(), Contains("a tensor over a file was written"));
  CHECK(close(view.clone(), x, 0) == "");
  // a kept copy lets the file's pages go, and they come back
  CHECK(close(kept_copy(view, "doubled", DType::float32, [&] { return view.clone(); }), x, 0) == "");
  CHECK(close(view, x, 0) == "");

  std::string text = R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} )";  // data at 8 + 55
  text.resize(55, ' ');
  write_without_flush(dir / "g",
                      std::string("\x37\0\0\0\0\0\0\0", 8) + text + std::string("\0\0\x80?\0\0\0@", 8));
  const Tensor crooked = SafetensorsFile(dir / "g").view("t");
  CHECK_FALSE(crooked.storage().read_only());
  CHECK((crooked.at(0) == 1 && crooked.at(1) == 2));
}

TEST_CASE("params: frozen values are views, trainable ones are written where they lie") {
  const TemporaryDir dir;
  const Tensor x = random({6, 4}, 1, DType::float32);
  save_safetensors(dir / "f", {{"w", x}});
  Param frozen = make_param("w", {6, 4}), trained = make_param("w", {6, 4}), turned = make_param("w", {4, 6});
  freeze({&frozen});
  const std::byte* place_before = trained.value.raw();
  load_params(SafetensorsFile(dir / "f"), {&frozen});
  load_params(SafetensorsFile(dir / "f"), {&trained});
  CHECK(frozen.value.storage().read_only());
  CHECK_FALSE((trained.value.storage().read_only() || trained.value.storage().constant));
  CHECK(trained.value.raw() == place_before);
  CHECK(close(frozen.value, x, 0) == "");
  CHECK(close(trained.value, x, 0) == "");
  const std::byte* mapped = frozen.value.raw();
  freeze({&frozen});  // is no copy
  CHECK(frozen.value.raw() == mapped);
  freeze({&trained});
  CHECK(trained.value.raw() == place_before);
  const Tensor other = trained.value;
  trained.value.storage().constant = false;
  freeze({&trained});  // another holds it, and may write
  CHECK(trained.value.raw() != other.raw());

  turned.transposed = true;
  load_params(SafetensorsFile(dir / "f"), {&turned});
  for (int64_t i = 0; i < 24; ++i) CHECK(turned.value.at(i) == x.at(i % 6 * 4 + i / 6));
  save_params(dir / "t", {&turned});
  CHECK(close(SafetensorsFile(dir / "t").read("w"), x, 0) == "");
  Param straight = make_param("w", {6, 4});
  straight.transposed = true;
  CHECK_THROWS_WITH(load_params(SafetensorsFile(dir / "f"), {&straight}),
                    Contains("w (expected (4,6), found (6,4))"));
}

TEST_CASE("shards: many files are one, and the index is exact") {
  const TemporaryDir dir;
  write_shards(dir.path());
  TensorFiles files = TensorFiles::open(dir.path());
  CHECK(files.files() == 2);
  CHECK(files.names() == std::vector<std::string>{"a", "b", "c"});
  CHECK(files.shape("c") == Shape{5});
  CHECK(files.dtype("a") == "F32");
  CHECK(close(files.read("c"), random({5}, 3, DType::float32), 0) == "");
  CHECK(files.view("b").storage().read_only());
  CHECK(close(files.read("b", DType::float64), random({4}, 2, DType::float32).to(DType::float64), 0) == "");
  CHECK_THROWS_WITH(files.read("d"), Contains("no tensor 'd'"));
  files.leave_out([](const std::string& name) { return name == "b"; });
  CHECK(files.names() == std::vector<std::string>{"a", "c"});

  const fs::path index = dir / "model.safetensors.index.json";
  const auto refused = [&](const Json& weight_map, const std::string& message) {
    write_without_flush(index, Json{{"weight_map", weight_map}}.dump());
    CHECK_THROWS_AS(TensorFiles::open(dir.path()), InputError);
    CHECK_THROWS_WITH(TensorFiles::open(dir.path()), Contains(message));
  };
  const std::string one = "one.safetensors", two = "two.safetensors";
  refused({{"a", one}, {"c", two}}, "tensor \"b\" is in one.safetensors, but not listed there");
  refused({{"a", one}, {"b", two}, {"c", two}}, "tensor \"b\" should be in two.safetensors, but is not");
  refused({{"a", one}, {"b", one}, {"c", two}, {"d", two}}, "tensor \"d\" should be in two.safetensors");
  refused({{"a", "x1"}, {"b", "x2"}, {"c", two}}, "files are missing beside it: x1, x2");
  for (const char* way_out : {"../one.safetensors", "/etc/passwd", "..", ".", "", "sub/one.safetensors"})
    refused({{"a", way_out}},
            concat("expected the name of a file in the same folder, found \"", way_out, '"'));
  refused({{"a", 3}}, "expected the name of a file in the same folder, found 3");
  refused(Json::array(), "field \"weight_map\": expected an object");
  refused(Json::object(), "field \"weight_map\": expected an object");
  write_without_flush(index, R"({"weight_map":{"a":"one.safetensors","a":"two.safetensors"}})");
  CHECK_THROWS_WITH(TensorFiles::open(dir.path()), Contains("\"a\" is given twice"));
  write_without_flush(index, "{\"weight_map\":" + std::string(100'000, '['));
  CHECK_THROWS_AS(TensorFiles::open(dir.path()), InputError);
  fs::remove(index);
  CHECK_FALSE(TensorFiles::exist(dir.path()));
  CHECK_THROWS_WITH(TensorFiles::open(dir.path()), Contains("model.safetensors: No such file or directory"));
}

TEST_CASE("shards: mutated index files are read or refused, never worse") {
  const TemporaryDir dir;
  write_shards(dir.path());
  const fs::path index = dir / "model.safetensors.index.json";
  const std::string good = read_text(index);
  const int64_t rounds = fuzz_rounds(1000);
  const int64_t refused = count_refused(good, good.size(), rounds, [&](const std::string& bytes) {
    write_without_flush(index, bytes);
    const TensorFiles files = TensorFiles::open(dir.path());
    for (const std::string& name : files.names()) (void)files.view(name).all_finite();
  });
  WARN("index files: " << refused << " of " << rounds << " refused");
  CHECK(refused > rounds / 2);
  CHECK(refused < rounds);
}

TEST_CASE("gpt2: a Hugging Face folder gives transformers' logits, in every form it comes in") {
  check_gpt2(golden_folder("gpt2"));  // float16, names with "transformer.", no lm_head
  const TemporaryDir dir;
  fs::copy_file(golden_folder("gpt2") / "config.json", dir / "config.json");
  auto plain = golden_weights(DType::float32, [](const std::string& name) { return name.substr(12); });
  plain.push_back({"h.0.attn.bias", Tensor::full({1, 1, 16, 16}, 1).to(DType::int32), "BOOL"});
  plain.push_back({"h.1.attn.masked_bias", Tensor::full({}, -1e4)});
  save_safetensors(dir / "model.safetensors", plain);
  check_gpt2(dir.path());

  const auto named = golden_weights(DType::float32, [](std::string name) { return name; });
  std::vector<NamedTensor> parts[2];
  Json map = Json::object();
  for (size_t i = 0; i < named.size(); ++i) {
    parts[i % 2].push_back(named[i]);
    map[named[i].name] = i % 2 == 0 ? "x" : "y";
    if (named[i].name == "transformer.wte.weight") {
      parts[0].push_back({"lm_head.weight", named[i].tensor});
      map["lm_head.weight"] = "x";
    }
  }
  fs::remove(dir / "model.safetensors");
  save_safetensors(dir / "x", parts[0]);
  save_safetensors(dir / "y", parts[1]);
  write_json(dir / "model.safetensors.index.json", {{"weight_map", map}});
  check_gpt2(dir.path());

  auto bad = plain;
  bad.push_back({"lm_head.weight", Tensor::zeros({51, 32})});
  save_safetensors(dir / "model.safetensors", bad);
  CHECK_THROWS_WITH(Gpt2::load(dir.path()), Contains("lm_head.weight differs from wte.weight"));
  bad = plain;
  bad.front().name = "h.0.attn.biases";
  save_safetensors(dir / "model.safetensors", bad);
  CHECK_THROWS_WITH(Gpt2::load(dir.path()),
                    Contains("1 missing: ") && Contains("1 unexpected: h.0.attn.biases"));

  save_safetensors(dir / "model.safetensors", plain);
  const auto config_refused = [&](const char* key, const Json& value, const std::string& message) {
    Json config = read_json(golden_folder("gpt2") / "config.json");
    config[key] = value;
    write_json(dir / "config.json", config);
    CHECK_THROWS_WITH(Gpt2::load(dir.path()), Contains(concat("field \"", key, "\": expected ", message)));
  };
  config_refused("activation_function", "relu",
                 "one of [\"gelu_new\",\"gelu_pytorch_tanh\"], found \"relu\"");
  config_refused("n_inner", 100, "one of [null,128], found 100");
  config_refused("tie_word_embeddings", false, "true, found false");
  config_refused("scale_attn_by_inverse_layer_idx", true, "false, found true");
  config_refused("layer_norm_epsilon", "x", "a number above zero");
  config_refused("n_embd", -1, "a positive integer, found -1");
  config_refused("vocab_size", 1e300, "a positive integer");
}
