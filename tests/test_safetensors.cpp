// Protects files: a write is whole or did not happen, safetensors round trips bit for bit, hostile headers
// are refused with an error and never crash, and loading parameters reports every problem at once.
#include "catch.h"

#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <limits>

#include "fuzz.h"
#include "gradcheck.h"
#include "io/half.h"
#include "nn/param_file.h"
#include "temporary.h"

using namespace gmail;
using namespace gmail::test;

namespace {

std::string with_header(const std::string& header, const std::string& data) {
  std::string length;
  for (size_t i = 0; i < 8; ++i) length += static_cast<char>((header.size() >> (8 * i)) & 0xffU);
  return length + header + data;
}

// What opening a file with this header and n bytes of data says; "" if it is accepted.
std::string complaint(const std::string& header, size_t n = 0) {
  const TemporaryDir dir;
  const auto path = dir / "f.safetensors";
  write_atomically(path, with_header(header, std::string(n, '\0')));
  try {
    const SafetensorsFile file(path);
    return "";
  } catch (const InputError& e) {
    return e.what();
  }
}

void check_full(const std::filesystem::path& path, const std::string& message) {
  CHECK_THROWS_WITH(write_atomically(path, std::string(100'000, 'x')), message);
  try {
    write_atomically(path, std::string(100'000, 'x'));
    CHECK(false);
  } catch (const Error& e) {
    CHECK(e.exit_code() == 1);
  }
}

}  // namespace

TEST_CASE("files: a write that fails leaves the old file and nothing else") {
  const TemporaryDir dir;
  const auto path = dir / "a.txt";
  write_atomically(path, "old");
  CHECK_THROWS_WITH(write_atomically(path,
                                     [](const ByteSink& write) {
                                       write(std::as_bytes(std::span("half", 4)));
                                       throw Error("stop");
                                     }),
                    "stop");
  CHECK(read_text(path) == "old");

  check_full("/dev/full", "cannot write /dev/full: No space left on device");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  check_full(path, concat("cannot write ", path.string(), ": File too large"));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(read_text(path) == "old");
  CHECK(dir.entries() == 1);

  write_atomically(path, "");
  CHECK(read_text(path).empty());
  CHECK(dir.entries() == 1);
}

TEST_CASE("files: an impossible path is the user's mistake") {
  const TemporaryDir dir;
  CHECK_THROWS_AS(write_atomically(dir / "no" / "such.txt", "x"), InputError);
  CHECK_THROWS_AS(write_atomically(dir.path(), "x"), InputError);
  CHECK_THROWS_AS(read_text(dir.path()), InputError);
  CHECK_THROWS_WITH(read_text(dir / "none"),
                    "cannot read " + (dir / "none").string() + ": No such file or directory");
  write_atomically(dir / "file", "x");
  CHECK_THROWS_AS(make_dirs(dir / "file" / "sub"), InputError);
  make_dirs(dir / "a" / "b");
  make_dirs(dir / "a" / "b");
  CHECK(std::filesystem::is_directory(dir / "a" / "b"));
}

TEST_CASE("half: every value goes to float and back, and rounding is to nearest even") {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const float f = half_to_float(static_cast<uint16_t>(h));
    if (std::isnan(f)) {
      CHECK((h & 0x7fffU) > 0x7c00U);
      CHECK(std::isnan(half_to_float(float_to_half(f))));
    } else if (float_to_half(f) != h) {
      FAIL("half " << h << " became " << float_to_half(f));
    }
  }
  CHECK(half_to_float(0x3c00) == 1.0F);
  CHECK(half_to_float(0x7bff) == 65504.0F);
  CHECK(half_to_float(0x0001) == 0x1p-24F);
  CHECK(half_to_float(0xfc00) == -std::numeric_limits<float>::infinity());
  CHECK(float_to_half(1 + 0x1p-11F) == 0x3c00);      // a tie goes down to even
  CHECK(float_to_half(1 + 3 * 0x1p-11F) == 0x3c02);  // a tie goes up to even
  CHECK(float_to_half(1 + 0x1p-11F + 0x1p-20F) == 0x3c01);
  CHECK(float_to_half(65519.996F) == 0x7bff);
  CHECK(float_to_half(65520.0F) == 0x7c00);
  CHECK(float_to_half(-0x1p-25F) == 0x8000);  // a tie with zero
  CHECK(float_to_half(0x1.8p-24F) == 0x0002);
}

TEST_CASE("safetensors: round trip, metadata, order, padding") {
  const TemporaryDir dir;
  const auto path = dir / "f.safetensors";
  const std::vector<NamedTensor> tensors = {
      {"b", random({3, 5}, 1, DType::float32)},
      {"a", random({2}, 2, DType::float32)},
      {"wide", random({7}, 3)},
      {"short", random({3}, 4).to(DType::bfloat16)},
      {"ids", Tensor::from<int32_t>(std::vector<int32_t>{1, -2, 2147483647}, {3})},
      {"scalar", Tensor::full({}, 2.5)},
      {"none", Tensor::empty({0, 4})},
      {"\"q\\ \xc3\xa9", Tensor::full({1}, 1)}};
  save_safetensors(path, tensors, {{"step", "7"}, {"note", "a \"b\"\n"}});
  const SafetensorsFile file(path);
  CHECK(file.metadata() == Metadata{{"step", "7"}, {"note", "a \"b\"\n"}});
  CHECK(file.names().size() == tensors.size());
  for (const NamedTensor& t : tensors) {
    const Tensor back = file.read(t.name);
    CHECK(back.dtype() == t.tensor.dtype());
    CHECK(close(back, t.tensor, 0) == "");
  }
  CHECK(close(file.read("short", DType::float32), tensors[3].tensor.to(DType::float32), 0) == "");
  CHECK_FALSE(file.has("c"));
  CHECK_THROWS_WITH(file.read("c"), "[safetensors] " + path.string() + ": no tensor 'c'");

  const std::string text = read_text(path);
  const auto length = static_cast<size_t>(static_cast<unsigned char>(text[0])) +
                      256 * static_cast<size_t>(static_cast<unsigned char>(text[1]));
  CHECK(length % 8 == 0);
  CHECK(text.find("\"wide\"") < text.find("\"a\""));  // larger alignment first
  CHECK(text.find("\"a\"") < text.find("\"b\""));     // then by name
  CHECK(text.find("\"scalar\"") < text.find("\"short\""));
  auto reversed = tensors;
  std::reverse(reversed.begin(), reversed.end());
  save_safetensors(dir / "g.safetensors", reversed, {{"note", "a \"b\"\n"}, {"step", "7"}});
  CHECK(read_text(dir / "g.safetensors") == text);

  CHECK_THROWS_WITH(save_safetensors(path, {tensors[0], tensors[0]}), Contains("'b' is taken"));
  CHECK_THROWS_WITH(save_safetensors(path, {{"absent", Tensor()}}), Contains("'absent' is absent"));
  CHECK(read_text(path) == text);
}

TEST_CASE("safetensors: half precision on disk") {
  const TemporaryDir dir;
  const Tensor x = random({1000}, 5, DType::float32);
  const std::vector<NamedTensor> tensors = {{"x", x}, {"d", random({3}, 6)}};
  save_safetensors(dir / "h", tensors, {}, StoreAs::float16);
  save_safetensors(dir / "b", tensors, {}, StoreAs::bfloat16);
  const SafetensorsFile half(dir / "h"), brain(dir / "b");
  CHECK(half.dtype("x") == "F16");
  CHECK(brain.dtype("x") == "BF16");
  CHECK(half.dtype("d") == "F64");
  CHECK(half.read("x").dtype() == DType::float32);
  CHECK(close(half.read("x"), x, 0x1p-11) == "");
  CHECK(close(half.read("x"), x, 0x1p-15) != "");
  CHECK(close(brain.read("x", DType::float32), x.to(DType::bfloat16).to(DType::float32), 0) == "");
  CHECK_THROWS_WITH(save_safetensors(dir / "h", {{"big", Tensor::full({2}, 70000)}}, {}, StoreAs::float16),
                    "[safetensors] tensor 'big': 70000 at 0 does not fit in F16");
  CHECK(SafetensorsFile(dir / "h").has("x"));
}

TEST_CASE("safetensors: every type of the format is known by its size, and read where it can be") {
  const TemporaryDir dir;
  const auto stored = [&](const std::string& type, const std::string& sizes, const std::string& data) {
    write_without_flush(dir / "t",
                        with_header("{\"t\":{\"dtype\":\"" + type + "\",\"shape\":[" + sizes +
                                        "],\"data_offsets\":[0," + std::to_string(data.size()) + "]}}",
                                    data));
    return SafetensorsFile(dir / "t");
  };
  const auto integers = [&](const std::string& type, const std::string& sizes, const std::string& data) {
    const Tensor t = stored(type, sizes, data).read("t");
    const auto values = t.span<int32_t>();
    return std::vector<int32_t>(values.begin(), values.end());
  };
  const std::string ones(16, '\xff'), zeros(16, '\0');
  CHECK(integers("U8", "2", {"\x07\xff", 2}) == std::vector<int32_t>{7, 255});
  CHECK(integers("I8", "2", {"\x07\xff", 2}) == std::vector<int32_t>{7, -1});
  CHECK(integers("U16", "2", {"\x07\x01\xff\xff", 4}) == std::vector<int32_t>{263, 65535});
  CHECK(integers("I16", "2", {"\x07\x01\xff\xff", 4}) == std::vector<int32_t>{263, -1});
  CHECK(integers("U32", "1", {"\xff\xff\xff\x7f", 4}) == std::vector<int32_t>{2147483647});
  CHECK(integers("I64", "2", ones) == std::vector<int32_t>{-1, -1});
  CHECK(integers("U64", "2", zeros) == std::vector<int32_t>{0, 0});
  CHECK(integers("BOOL", "2", {"\x01\x00", 2}) == std::vector<int32_t>{1, 0});
  CHECK_THROWS_WITH(stored("BOOL", "1", "\x02").read("t"), Contains("tensor 't' holds 2, expected 0 or 1"));
  CHECK_THROWS_WITH(stored("U32", "4", ones).read("t"), Contains("4294967295, which does not fit in int32"));
  CHECK_THROWS_WITH(stored("U64", "2", ones).read("t"), Contains("which does not fit in int32"));
  const std::pair<const char*, const char*> unread[] = {
      {"C64", "2"},     {"F8_E4M3", "16"},     {"F8_E5M2", "16"},     {"F8_E8M0", "16"}, {"F4", "32"},
      {"F6_E2M3", "8"}, {"F8_E4M3FNUZ", "16"}, {"F8_E5M2FNUZ", "16"}, {"F6_E3M2", "8"}};
  for (const auto& [type, sizes] : unread) {
    const std::string data(std::string(type).starts_with("F6") ? 6 : 16, '\0');
    const SafetensorsFile file = stored(type, sizes, data);
    CHECK(file.dtype("t") == type);
    CHECK_THROWS_WITH(file.read("t"), Contains("has dtype " + file.dtype("t") + ", which this program does"));
    CHECK_THROWS_AS(file.view("t"), InputError);
  }

  const Tensor ids = Tensor::from(std::vector<int32_t>{0, 1, 1}, {3}), x = Tensor::full({2}, 0.1);
  std::vector<NamedTensor> all;
  for (const char* type : {"I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"})
    all.push_back({type, ids, type});
  for (const char* type : {"F64", "F32", "F16", "BF16"}) all.push_back({type, x, type});
  save_safetensors(dir / "all", all);
  const SafetensorsFile back(dir / "all");
  for (const NamedTensor& t : all) {
    CHECK(back.dtype(t.name) == t.as);
    CHECK(close(back.read(t.name).to(t.tensor.dtype()), t.tensor, t.as == "BF16" ? 4e-3 : 4e-4) == "");
  }
  const Tensor minus = Tensor::from(std::vector<int32_t>{5, -3}, {2});
  for (const char* type : {"U8", "U64", "BOOL"})
    CHECK_THROWS_WITH(save_safetensors(dir / "no", {{"m", minus, type}}), Contains("does not fit in"));
  CHECK_THROWS_WITH(save_safetensors(dir / "no", {{"m", Tensor::full({1}, 1e300, DType::float64), "F32"}}),
                    Contains("1e+300 at 0 does not fit in F32"));
  CHECK_THROWS_WITH(save_safetensors(dir / "no", {{"m", minus, "F32"}}),
                    Contains("cannot be stored as 'F32'"));
  CHECK_THROWS_WITH(save_safetensors(dir / "no", {{"m", x, "F8_E4M3"}}), Contains("cannot be stored as"));
}

TEST_CASE("safetensors: bad headers are named") {
  const auto one = [](const std::string& entry) { return "{\"t\":" + entry + "}"; };
  CHECK(complaint(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})") + "   ", 8) == "");
  CHECK(complaint("{}") == "");
  CHECK_THAT(complaint(" {}"), Contains("does not start with '{'"));
  CHECK_THAT(complaint("{\"t\":"), Contains("does not end with '}'"));
  CHECK_THAT(complaint("{}\n"), Contains("does not end with '}' and spaces"));
  CHECK_THAT(complaint("{\"t\"}"), Contains("not valid JSON in UTF-8 at its byte 5"));
  CHECK_THAT(complaint("{\"\xff\":3}"), Contains("not valid JSON in UTF-8"));
  CHECK_THAT(complaint(one("3")), Contains("tensor 't': expected an object, found 3"));
  CHECK_THAT(complaint(one(R"({"dtype":"F33","shape":[],"data_offsets":[0,4]})"), 4),
             Contains("unknown dtype \"F33\""));
  CHECK_THAT(complaint(one(R"({"dtype":"F32","data_offsets":[0,4]})"), 4), Contains("\"shape\" is missing"));
  const auto shape = [&](const std::string& sizes, const std::string& offsets, size_t n) {
    return complaint(one(R"({"dtype":"F32","shape":[)" + sizes + R"(],"data_offsets":[)" + offsets + "]}"),
                     n);
  };
  CHECK(shape("2", "0,8", 8) == "");
  CHECK(shape("", "0,4", 4) == "");
  CHECK(shape("0,9223372036854775807", "0,0", 0) == "");
  CHECK_THAT(shape("-1", "0,4", 4), Contains("expected a whole number, zero or more, found -1"));
  CHECK_THAT(shape("1.0", "0,4", 4), Contains("found 1.0"));
  CHECK_THAT(shape("[1]", "0,4", 4), Contains("found an array"));
  CHECK_THAT(shape("4294967296,4294967296", "0,0", 0), Contains("overflows"));
  CHECK_THAT(shape("9223372036854775807,3,0", "0,0", 0), Contains("overflows"));
  CHECK_THAT(shape("9223372036854775808", "0,0", 0), Contains("overflows"));
  CHECK_THAT(shape("4611686018427387904", "0,0", 0), Contains("overflows"));  // in bits alone
  CHECK_THAT(shape("1,1,1,1,1,1,1", "0,4", 4), Contains("rank above 6"));
  CHECK_THAT(shape("2", "0,4", 4), Contains("need 8 bytes"));
  CHECK_THAT(shape("2", "0,8", 4), Contains("the data at 4"));
  CHECK_THAT(shape("1", "8,4", 8), Contains("are [8,4]"));
  CHECK_THAT(shape("1", "4,8", 8), Contains("'t' leaves a gap"));
  CHECK_THAT(shape("1", "0,4", 8), Contains("the data at 8"));
  CHECK_THAT(shape("1", "0", 4), Contains("is not [begin, end]"));
  CHECK_THAT(shape("1", "0,4,4", 4), Contains("is not [begin, end]"));
  CHECK_THAT(shape("1", "0,4],\"shape\":[1", 4), Contains("tensor 't': duplicate key 'shape'"));
  CHECK_THAT(shape("1", "0,4],\"more\":[1", 4), Contains("unknown field 'more'"));
  CHECK_THAT(complaint(one(R"({"dtype":"F4","shape":[3],"data_offsets":[0,2]})"), 2),
             Contains("whole number of bytes"));
  const std::string t = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  CHECK_THAT(complaint("{\"a\":" + t + ",\"b\":" + t + "}", 4), Contains("'b' overlaps"));
  CHECK_THAT(complaint("{\"a\":" + t + ",\"a\":" + t + "}", 4), Contains("duplicate key 'a'"));
  CHECK_THAT(complaint(R"({"__metadata__":{"a":1}})"),
             Contains("__metadata__ 'a': expected a string, found 1"));
  CHECK_THAT(complaint(R"({"__metadata__":{"a":"1","a":"2"}})"), Contains("duplicate key 'a'"));
  CHECK_THAT(complaint(R"({"__metadata__":{},"__metadata__":{}})"), Contains("duplicate key '__metadata__'"));
  CHECK_THAT(complaint(R"({"__metadata__":[]})"), Contains("expected an object, found an array"));
  CHECK_THAT(complaint(R"({"a\u001b":0})"), Contains("tensor \"a\\u001b\": expected an object"));
  CHECK_THAT(complaint("{\"t\":" + std::string(100'000, '[') + "}"), Contains("found an array"));
  CHECK_THAT(complaint("{\"t\":{\"shape\":" + std::string(100'000, '{') + "}"), Contains("found an object"));
  const TemporaryDir dir;
  write_atomically(dir / "f", "short");
  CHECK_THROWS_WITH(SafetensorsFile(dir / "f"), Contains("the file has 5 bytes"));
  write_atomically(dir / "f", std::string(7, '\xff') + std::string(20, '\x7f'));
  CHECK_THROWS_WITH(SafetensorsFile(dir / "f"), Contains("at most 100000000 are allowed"));
}

TEST_CASE("safetensors: mutated files are read or refused, never worse") {
  const TemporaryDir dir;
  const auto path = dir / "f.safetensors";
  save_safetensors(path, {{"first", random({4, 3}, 1, DType::float32)}, {"second", random({5}, 2)}},
                   {{"k", "v"}});
  const std::string good = read_text(path);
  const size_t header = good.size() - 12 * 4 - 5 * 8;
  const int64_t rounds = fuzz_rounds(2000);
  const int64_t refused = count_refused(good, header, rounds, [&](const std::string& bytes) {
    write_without_flush(path, bytes);
    const SafetensorsFile file(path);
    for (const std::string& name : file.names()) (void)file.read(name), (void)file.view(name).all_finite();
  });
  CHECK(refused > rounds / 2);
  CHECK(refused < rounds);
}

TEST_CASE("params: loading reports every missing, unexpected and mis-shaped name, and then changes nothing") {
  const TemporaryDir dir;
  Param a{"a", random({2, 3}, 1, DType::float32), {}, true, true};
  Param b{"b", random({4}, 2, DType::float32), {}, true, true};
  Param c{"c", random({5}, 3, DType::float32), {}, true, true};
  save_params(dir / "f", {&a, &b}, {{"kind", "test"}}, StoreAs::as_is, "model.");
  const SafetensorsFile file(dir / "f");
  Param a2{"a", Tensor::zeros({2, 3}), {}, true, true}, b2{"b", Tensor::zeros({4}), {}, true, true};
  load_params(file, {&a2, &b2}, "model.");
  CHECK(close(a2.value, a.value, 0) == "");
  CHECK(close(b2.value, b.value, 0) == "");
  Param a3{"a", Tensor::zeros({3, 2}), {}, true, true};
  CHECK_THROWS_WITH(load_params(file, {&a3, &c}, "model."),
                    (dir / "f").string() +
                        " does not fit the model; 1 missing: model.c; 1 unexpected: model.b; "
                        "1 of another shape: model.a (expected (3,2), found (2,3))");
  CHECK_THROWS_AS(load_params(file, {&a3, &c}, "model."), InputError);
  Param b4{"b", Tensor::zeros({4}), {}, true, true};
  load_params(file, {&b4}, "model.", Unexpected::ignore);
  CHECK(close(b4.value, b.value, 0) == "");
  CHECK_THROWS_AS(load_params(file, {&c, &b2}, "model."), InputError);
}
