// Where a tensor lives, and the opaque handle of an order of work there.
#pragma once

#include <cstdint>
#include <string_view>

namespace gmail {

enum class Device : uint8_t { cpu, cuda };

[[nodiscard]] constexpr std::string_view name_of(Device d) { return d == Device::cpu ? "cpu" : "cuda"; }

// A CUDA stream, known by its contents to cuda/ only; null on the CPU.
struct Stream {
  void* handle = nullptr;
};

}  // namespace gmail
