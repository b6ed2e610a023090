// Protects checkpoints: state comes back bit for bit, and a checkpoint of another run or model is refused by
// name.
#include "train/checkpoint.h"

#include "catch.h"
#include "gradcheck.h"
#include "nn/param_file.h"
#include "temporary.h"

using namespace gmail;
using namespace gmail::test;
using nlohmann::json;

namespace {

Param param(const std::string& name, const Shape& shape, uint64_t salt) {
  return {name, random(shape, salt, DType::float32), {}, true, true};
}

std::string refusal(const std::filesystem::path& path, const ParamBlock& block, const json& identity) {
  try {
    (void)load_checkpoint(path, block, identity);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("checkpoint: round trip") {
  const TemporaryDir dir;
  const auto path = dir / "c.safetensors";
  const json identity = {{"lr", 0.1}, {"model", {{"width", 64}, {"names", {"a", "b"}}}}};
  Param a = param("a", {3, 5}, 1), b = param("b", {7}, 2);
  ParamBlock block({&a, &b}, true);
  uint64_t salt = 10;
  for (const NamedTensor& t : block.state()) {
    Tensor view = t.tensor;
    view.copy_from(random(view.shape(), ++salt, DType::float32));
  }
  save_checkpoint(path, block, 17, identity);
  Param a2 = param("a", {3, 5}, 3), b2 = param("b", {7}, 4);
  ParamBlock other({&a2, &b2}, true);
  CHECK(load_checkpoint(path, other, identity) == 17);
  const auto expected = block.state(), found = other.state();
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(found[i].name == expected[i].name);
    CHECK(close(found[i].tensor, expected[i].tensor, 0) == "");
  }
  CHECK(close(a2.value, a.value, 0) == "");
  save_checkpoint(dir / "again.safetensors", other, 17, identity);
  CHECK(read_text(dir / "again.safetensors") == read_text(path));
}

TEST_CASE("checkpoint: another run or model is refused, and nothing changes") {
  const TemporaryDir dir;
  const auto path = dir / "c.safetensors";
  const json identity = {{"lr", 0.1}, {"model", {{"width", 64}, {"names", {"a", "b"}}}}};
  Param a = param("a", {3, 5}, 1), b = param("b", {7}, 2);
  ParamBlock block({&a, &b});
  save_checkpoint(path, block, 17, identity);
  json changed = identity;
  changed["lr"] = 0.2;
  changed["model"]["names"][1] = "c";
  changed["model"].erase("width");
  changed["new"] = true;
  CHECK(refusal(path, block, changed) ==
        "cannot resume from " + path.string() +
            ", it belongs to another run: /lr is 0.1 there, 0.2 here, /model/names/1 is \"b\" there, \"c\" "
            "here, "
            "/model/width is 64 there, absent here, /new is absent there, true here");
  Param wide = param("a", {3, 6}, 1);
  ParamBlock other({&wide, &b});
  const Tensor before = b.value.clone();
  CHECK_THAT(refusal(path, other, identity),
             Contains("of another shape: value.a (expected (3,6), found (3,5))"));
  CHECK(close(b.value, before, 0) == "");
  Param c = param("c", {2}, 1);
  ParamBlock third({&a, &c});
  CHECK_THAT(refusal(path, third, identity),
             Contains("3 missing: value.c, m.c, v.c; 3 unexpected: m.b, v.b, value.b"));
  save_params(dir / "weights.safetensors", {&a});
  CHECK_THAT(refusal(dir / "weights.safetensors", block, identity), Contains("is no checkpoint"));
  CHECK_THAT(refusal(dir / "none.safetensors", block, identity), Contains("No such file"));
}

TEST_CASE("checkpoint: the digest of frozen weights sees names and values") {
  Param a = param("a", {3, 5}, 1), b = param("b", {7}, 2);
  const std::string none = frozen_digest({&a, &b});
  a.trainable = false;
  const std::string one = frozen_digest({&a, &b});
  CHECK(one != none);
  a.name = "x";
  CHECK(frozen_digest({&a, &b}) != one);
  a.name = "a";
  CHECK(frozen_digest({&a, &b}) == one);
  a.value.data<float>()[14] = -a.value.data<float>()[14];
  CHECK(frozen_digest({&a, &b}) != one);
  CHECK(one.size() == 16);
}
