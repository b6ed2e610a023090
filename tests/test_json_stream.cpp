// Protects the JSON reader that goes piece by piece: it accepts what the library's parser accepts, reads the
// same values wherever the pieces end, and names the place of what is wrong.
#include <nlohmann/json.hpp>

#include "catch.h"
#include "fuzz.h"
#include "io/json.h"
#include "io/json_stream.h"
#include "temporary.h"

using namespace gmail;
using namespace gmail::test;

namespace {

const char* const kDocument =
    "{\"info\": {\"year\": 2014, \"a\\u00e9b\": [1.5e3, -0, 0.25, true, false, null, []]},\n"
    " \"images\": [{\"id\": 9, \"file_name\": \"na\xC3\xAFve \\ud83d\\ude00 "
    "\\\"\\\\\\/\\b\\f\\n\\r\\t\"},\t{}, "
    "\"\xF0\x9F\x98\x80\"],\r\n \"annotations\": [[[{\"x\": {\"y\": [0, 12, 345]}}]], \"\", \"plain\"]}";

const char* const kBad[] = {"",
                            " ",
                            "[1,]",
                            "{\"a\":1,}",
                            "[01]",
                            "[1.]",
                            "[.5]",
                            "[+1]",
                            "[-]",
                            "[1e]",
                            "[1e+]",
                            "nul",
                            "\"\\x\"",
                            "\"\\ud800\"",
                            "\"\\udc00\"",
                            "\"\\ud800\\u0041\"",
                            "\"\\u12g4\"",
                            "\"\t\"",
                            "[1 2]",
                            "{\"a\" 1}",
                            "{1:2}",
                            "{\"a\":1 \"b\":2}",
                            "[1]]",
                            "1 2",
                            "[",
                            "{",
                            "{\"a\"",
                            "\"",
                            "[1e999]",
                            "\"\xC3\"",
                            "\"\xED\xA0\x80\"",
                            "\xFF",
                            "{\"a\":1,\"a\":2}",
                            "[}",
                            "{]",
                            ",",
                            "[,1]"};

Json value(JsonStream& in) {
  switch (in.peek()) {
    case JsonStream::Kind::object: {
      Json out = Json::object();
      for (in.begin_object(); in.next_key();) {
        const std::string key = in.key();
        out[key] = value(in);
      }
      return out;
    }
    case JsonStream::Kind::array: {
      Json out = Json::array();
      for (in.begin_array(); in.next_element();) out.push_back(value(in));
      return out;
    }
    case JsonStream::Kind::string:
      return in.text();
    case JsonStream::Kind::number:
      return in.number();
    case JsonStream::Kind::literal:
      in.skip();
      return nullptr;
  }
  return nullptr;
}

Json read(const std::string& text) {
  JsonStream in(text, "x.json");
  Json out = value(in);
  in.finish();
  return out;
}

// what `value` can tell of a parsed document: numbers are doubles, literals are null
Json plain(const Json& json) {
  if (json.is_number()) return json.get<double>();
  if (json.is_boolean()) return nullptr;
  if (!json.is_structured()) return json;
  Json out = json;
  for (Json& item : out) item = plain(item);
  return out;
}

template <class F>
std::string error_of(const F& body) {
  try {
    body();
  } catch (const InputError& e) {
    return e.what();
  }
  return "no error";
}

std::string skip_error(const std::string& text) {
  return error_of([&] {
    JsonStream in(text, "x.json", 7);
    in.finish();
  });
}

}  // namespace

TEST_CASE("json stream: the same values as the parser's, wherever the pieces of the file end") {
  const TemporaryDir dir;
  const Json expected = plain(parse_json(kDocument, "x.json"));
  CHECK(read(kDocument) == expected);
  CHECK(read(std::string("\xEF\xBB\xBF") + kDocument) == expected);
  write_without_flush(dir / "x.json", std::string("\xEF\xBB\xBF ") + kDocument + "\n");
  for (const size_t piece : {1, 2, 3, 5, 7, 64, 1000}) {
    INFO(piece);
    JsonStream in(dir / "x.json", piece);
    CHECK(value(in) == expected);
    in.finish();
    CHECK(in.where() == (dir / "x.json").string() + ":4");
    JsonStream skipped(dir / "x.json", piece);
    skipped.finish();
  }
}

TEST_CASE("json stream: accepts and refuses what the parser does") {
  const TemporaryDir dir;
  for (const char* text : kBad) {
    INFO(text);
    CHECK_THROWS_AS(parse_json(text, "x"), InputError);
    CHECK_THROWS_AS(read(text), InputError);
    CHECK(skip_error(text) != "no error");
  }
  int64_t file_rounds = 0, agreed = 0;
  const int64_t rounds = fuzz_rounds(1000);
  const int64_t refused = count_refused(
      kDocument, std::string(kDocument).size(), rounds,
      [&](const std::string& text) {
        Json expected;
        bool good = true;
        try {
          expected = plain(parse_json(text, "x.json"));
        } catch (const InputError&) {
          good = false;
        }
        if (++file_rounds % 16 == 0) {  // files too, in pieces of a few bytes
          write_without_flush(dir / "f.json", text);
          const bool fine = error_of([&] { JsonStream(dir / "f.json", 5).finish(); }) == "no error";
          if (fine != good) FAIL(text);
        }
        Json got;
        const std::string error = error_of([&] { got = read(text); });
        if ((error == "no error") != good || (good && got != expected)) FAIL(text + "\n" + error);
        ++agreed;
        if (!good) throw InputError(error);
      },
      "0123456789{}[]\",:-\\ue. \n");
  CHECK(agreed == rounds);
  CHECK(refused > rounds / 4);
  CHECK(refused < rounds);
}

TEST_CASE("json stream: what is not read is skipped, and checked") {
  JsonStream in(kDocument, "x.json");
  std::string keys;
  int64_t elements = 0;
  for (in.begin_object(); in.next_key();) {
    keys += in.key() + " ";
    if (in.key() == "images")
      for (in.begin_array(); in.next_element();) ++elements;
  }
  in.finish();
  CHECK(keys == "info images annotations ");
  CHECK(elements == 3);
  CHECK(skip_error("{\"a\": [1, {\"b\": nul}]}") == "x.json:7: not valid JSON at column 20");
  CHECK(skip_error("[1,\n 2,\n  3,]") == "x.json:9: not valid JSON at column 5");
  CHECK(skip_error("[\"ab\xFF\"]") == "x.json:7: not valid UTF-8 at column 5");
  CHECK(skip_error("[{\"a\": {\"b\":1, \"b\":2}}]") == "x.json:7: field \"[0].a.b\" is given twice");
  CHECK(skip_error("[1e999]") == "x.json:7: not valid JSON: a number is out of range");
  CHECK(skip_error(std::string(1000, '[') + std::string(1000, ']')) == "no error");
  CHECK(skip_error(std::string(1001, '[')) == "x.json:7: nested deeper than 1000 at column 1001");
  std::string many = "{";
  for (int i = 0; i < 40; ++i) many += "\"k" + std::to_string(i) + "\":1,";
  CHECK(skip_error(many + "\"k\":1}") == "no error");
  CHECK(skip_error(many + "\"k39\":1}") == "x.json:7: field \"k39\" is given twice");
  CHECK(skip_error(many + "\"k3\":1}") == "x.json:7: field \"k3\" is given twice");
}

TEST_CASE("json stream: errors quote the value and name its place") {
  const TemporaryDir dir;
  const std::string text = "{\"list\": [{\"id\": 1},\n {\"id\": \"two\", \"c\": [\"a\",\n 5, \"b\"]}]}";
  write_without_flush(dir / "x.json", text);
  const std::string file = (dir / "x.json").string();
  const auto in_list = [&](const auto& read_c, const auto& read_id) {
    return error_of([&] {
      JsonStream in(dir / "x.json", 4);
      for (in.begin_object(); in.next_key();)
        for (in.begin_array(); in.next_element();) {
          for (in.begin_object(); in.next_key();) in.key() == "c" ? read_c(in) : read_id(in);
          in.missing("name", "a name");
        }
    });
  };
  const auto skip = [](JsonStream& in) { in.skip(); };
  CHECK(in_list(skip, [](JsonStream& in) { (void)in.text(); }) ==
        file + ":1: field \"list[0].id\": expected a string, found 1");
  CHECK(in_list(skip, skip) == file + ":1: field \"list[0].name\": expected a name, found nothing");
  const auto error_of_c = [&](bool marked) {
    return error_of([&] {
      JsonStream in(dir / "x.json", 4);
      for (in.begin_object(); in.next_key();)
        for (in.begin_array(); in.next_element();)
          for (in.begin_object(); in.next_key();) {
            if (in.key() != "c") continue;
            if (marked) in.mark();
            for (in.begin_array(); in.next_element();) (void)in.text();
          }
    });
  };
  CHECK(error_of_c(false) == file + ":3: field \"list[1].c[1]\": expected a string, found 5");
  CHECK(error_of_c(true) == file + ":2: field \"list[1].c\": expected a string, found [\"a\",5,\"b\"]");
  const auto whole = [](const std::string& number) {
    return error_of([&] { (void)JsonStream(number, "x").whole(); });
  };
  CHECK(whole("9223372036854775807") == "no error");
  CHECK(whole("-0") == "no error");
  for (const char* bad : {"9223372036854775808", "-1", "1.0", "1e2", "\"1\"", "null"})
    CHECK(whole(bad).starts_with("x:1: expected a whole number, zero or more, found "));
  CHECK(error_of([] { JsonStream("[1]", "x").begin_object(); }) == "x:1: expected an object, found [1]");
  CHECK_THROWS_WITH(JsonStream(dir / "none.json"),
                    "cannot read " + (dir / "none.json").string() + ": No such file or directory");
}
