// Protects the foundations: shapes, tensor views and conversions, random numbers against the published
// vectors, arena and scratch memory, errors.
#include "catch.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "core/context.h"
#include "core/rng.h"

using namespace gmail;

TEST_CASE("shape: sizes from both ends, equality, limits") {
  const Shape s{3, 5, 7};
  CHECK(s.rank() == 3);
  CHECK(s[0] == 3);
  CHECK(s[-1] == 7);
  CHECK(s.numel() == 105);
  CHECK(s.str() == "(3,5,7)");
  CHECK(s.with(-2, 1) == Shape{3, 1, 7});
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{}.str() == "()");
  CHECK(Shape{3, 0}.numel() == 0);
  CHECK(Shape{3, 5} != Shape{3, 5, 1});
  CHECK_THROWS_WITH(s[3], "[shape] dimension 3 of (3,5,7)");
  CHECK_THROWS_AS(s[-4], Error);
  CHECK_THROWS_AS((Shape{2, -1}), Error);
  CHECK_THROWS_AS((Shape{1, 1, 1, 1, 1, 1, 1}), Error);
  CHECK_THROWS_AS((Shape{int64_t{1} << 40, int64_t{1} << 40}), Error);
}

TEST_CASE("tensor: views share memory, clones do not") {
  Tensor t = Tensor::zeros({4, 3});
  Tensor view = t.rows(1, 3).reshape({6});
  view.data<float>()[0] = 5;
  CHECK(t.at(3) == 5);
  CHECK(t.rows(1, 2).rows(0, 1).at(0) == 5);
  const Tensor copy = t.clone();
  view.fill(7);
  CHECK(copy.at(3) == 5);
  CHECK(t.at(8) == 7);
  CHECK(t.at(9) == 0);
  CHECK(t.rows(2, 2).numel() == 0);
  CHECK(t.bytes() == 48);
  CHECK(reinterpret_cast<uintptr_t>(t.raw()) % kAlignment == 0);
}

TEST_CASE("tensor: misuse is refused with the numbers") {
  Tensor t = Tensor::zeros({4, 3});
  CHECK_THROWS_WITH(t.reshape({5}), "[reshape] from (4,3) to (5)");
  CHECK_THROWS_WITH(t.rows(3, 5), "[rows] 3 to 5 of (4,3)");
  CHECK_THROWS_WITH(t.data<double>(), "[tensor] expected float64, got float32");
  CHECK_THROWS_WITH(t.at(12), "[tensor] element 12 of (4,3)");
  CHECK_THROWS_WITH(t.item(), "[item] expected one element, got (4,3)");
  CHECK_THROWS_AS(t.copy_from(Tensor::zeros({5})), Error);
  CHECK_THROWS_AS(Tensor().data<float>(), Error);
  CHECK_THROWS_AS(Tensor::from(std::vector<float>{1, 2}, {3}), Error);
  CHECK_THROWS_AS(with_float_type(DType::int32, [](auto) {}), Error);
}

TEST_CASE("tensor: conversions") {
  const Tensor d = Tensor::from(std::vector<double>{1.5, -2.7, 1e300}, {3});
  const Tensor f = d.to(DType::float32);
  CHECK(f.at(0) == 1.5);
  CHECK(f.at(1) == static_cast<double>(-2.7F));
  CHECK(std::isinf(f.at(2)));
  CHECK_FALSE(f.all_finite());
  CHECK(d.all_finite());
  CHECK(d.to(DType::float64).raw() == d.raw());
  const Tensor i = Tensor::from(std::vector<int32_t>{-7, 2147483647}, {2});
  CHECK(i.to(DType::float64).at(1) == 2147483647.0);
  CHECK(i.to(DType::float64).to(DType::int32).at(0) == -7);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_FALSE(Tensor::from(std::vector<float>{0, nan}, {2}).all_finite());
}

TEST_CASE("bfloat16: to the nearest, ties to even, NaN stays NaN") {
  const auto round = [](float v) { return static_cast<float>(bfloat16(v)); };
  CHECK(round(1.0F) == 1.0F);
  CHECK(round(1.0F + 0x1p-8F) == 1.0F);                // tie: down to even
  CHECK(round(1.0F + 3 * 0x1p-8F) == 1.0F + 0x1p-6F);  // tie: up to even
  CHECK(round(1.0F + 0x1.1p-8F) == 1.0F + 0x1p-7F);
  CHECK(round(-3.14159265F) == -3.140625F);
  CHECK(std::isinf(round(3.4e38F)));
  CHECK(std::isinf(round(std::numeric_limits<float>::infinity())));
  CHECK(std::isnan(round(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(round(std::bit_cast<float>(0x7F800001U))));  // only low bits say NaN
  CHECK(Tensor::full({1}, 1.001, DType::bfloat16).item() == 1);
}

TEST_CASE("philox: the published vectors") {
  CHECK(philox({0, 0}, {0, 0, 0, 0}) == PhiloxBlock{0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U});
  constexpr uint32_t all = 0xffffffffU;
  CHECK(philox({all, all}, {all, all, all, all}) ==
        PhiloxBlock{0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU});
}

TEST_CASE("rng: streams differ by each of their names, and repeat") {
  const auto first = [](uint64_t seed, Purpose purpose, uint64_t step, uint64_t index) {
    return Rng(seed, purpose, step, index).bits();
  };
  const uint32_t base = first(1, Purpose::test, 2, 3);
  CHECK(first(1, Purpose::test, 2, 3) == base);
  CHECK(first(2, Purpose::test, 2, 3) != base);
  CHECK(first(1, Purpose::noise, 2, 3) != base);
  CHECK(first(1, Purpose::test, 3, 3) != base);
  CHECK(first(1, Purpose::test, 2, 4) != base);
  CHECK(first(1 + (uint64_t{1} << 32U), Purpose::test, 2, 3) != base);
  CHECK(first(1, Purpose::test, 2 + (uint64_t{1} << 32U), 3) != base);
  CHECK(first(1, Purpose::test, 2, 3 + (uint64_t{1} << 32U)) != base);
  std::vector<uint32_t> all(75), tail(11);
  stream_words(all, 0, 1, Purpose::test, 2, 3);
  stream_words(tail, 64, 1, Purpose::test, 2, 3);
  Rng rng(1, Purpose::test, 2, 3);
  for (const uint32_t word : all) CHECK(word == rng.bits());
  for (size_t i = 0; i < tail.size(); ++i) CHECK(tail[i] == all[64 + i]);
}

TEST_CASE("rng: fill_uniform gives what Rng draws, whatever the length") {
  Tensor t = Tensor::empty({11}, DType::float64);
  fill_uniform(t, 0, 1, 1, Purpose::test, 2, 3);
  Rng rng(1, Purpose::test, 2, 3);
  for (int64_t i = 0; i < 11; ++i) CHECK(t.at(i) == rng.uniform());
}

TEST_CASE("rng: moments of uniform and normal, range of below") {
  const int64_t n = 200000;
  Tensor u = Tensor::empty({n}, DType::float64), g = Tensor::empty({n}, DType::float64);
  fill_uniform(u, -1, 3, 7, Purpose::test);
  fill_normal(g, 2, 7, Purpose::test);
  const auto moment = [n](const Tensor& t, double mean, int power) {
    double sum = 0;
    for (const double v : t.span<double>()) sum += std::pow(v - mean, power);
    return sum / static_cast<double>(n);
  };
  const double five_sigma = 5 / std::sqrt(static_cast<double>(n));
  CHECK(std::abs(moment(u, 0, 1) - 1) < five_sigma * 1.16);
  CHECK(std::abs(moment(u, 1, 2) - 16.0 / 12) < five_sigma * 1.2);
  CHECK(std::abs(moment(g, 0, 1)) < five_sigma * 2);
  CHECK(std::abs(moment(g, 0, 2) - 4) < five_sigma * 4 * 1.42);
  CHECK(std::abs(moment(g, 0, 3)) < five_sigma * 8 * 3.9);
  CHECK(std::abs(moment(g, 0, 4) - 48) < five_sigma * 16 * 9.8);
  for (const double v : u.span<double>()) REQUIRE((v >= -1 && v < 3));
  Rng rng(7, Purpose::test, 1);
  std::array<int, 7> count{};
  for (int i = 0; i < 7000; ++i) ++count.at(static_cast<size_t>(rng.below(7)));
  for (const int c : count) CHECK(std::abs(c - 1000) < 150);
  CHECK_THROWS_AS(rng.below(0), Error);
}

TEST_CASE("arena: blocks come back, are used again, and are counted") {
  const Context ctx;
  Arena& arena = *ctx.arena;
  const std::byte* first = nullptr;
  {
    const Tensor a = ctx.empty({100}, DType::float32), b = a.rows(2, 3);
    first = a.raw();
    CHECK(arena.live() == 1);
  }
  CHECK(arena.live() == 0);
  {
    const Tensor again = ctx.zeros({10, 10}, DType::float32);
    CHECK(again.raw() == first);
    CHECK(again.at(99) == 0);
    const Tensor more = ctx.empty({50}, DType::float64);
    CHECK(more.raw() != first);
    CHECK(arena.live() == 2);
  }
  CHECK(arena.peak_bytes() == 800);
  arena.release_cache();
  CHECK(arena.live() == 0);
  Tensor survivor;
  {
    const Context gone;
    survivor = gone.zeros({3}, DType::float32);
  }
  CHECK(survivor.at(2) == 0);  // a tensor keeps its arena alive
}

TEST_CASE("scratch: a stack of aligned buffers that are used again") {
  double* outer = nullptr;
  {
    const Scratch<double> a(100);
    const Scratch<float> b(7);
    outer = a.data();
    CHECK(reinterpret_cast<uintptr_t>(a.data()) % kAlignment == 0);
    CHECK(reinterpret_cast<uintptr_t>(b.data()) % kAlignment == 0);
    CHECK(static_cast<void*>(a.data()) != static_cast<void*>(b.data()));
    a[99] = 1;
    b[6] = 2;
    CHECK(a[99] == 1);
  }
  const Scratch<double> again(50);
  CHECK(again.data() == outer);
}

TEST_CASE("errors: what they say and how the program ends") {
  try {
    GMAIL_INPUT(1 > 2, "file ", "a.json", ": field ", 3);
    FAIL("not thrown");
  } catch (const Error& e) {
    CHECK(std::string(e.what()) == "file a.json: field 3");
    CHECK(e.exit_code() == 2);
  }
  try {
    GMAIL_CHECK(false, "[op] expected ", 1.5);
    FAIL("not thrown");
  } catch (const Error& e) {
    CHECK(std::string(e.what()) == "[op] expected 1.5");
    CHECK(e.exit_code() == 1);
  }
  GMAIL_CHECK(true, "never");
}
