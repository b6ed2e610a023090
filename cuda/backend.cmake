# The CUDA backend: cuda/*.cu and blas.cpp. nvcc compiles the kernels into the library; the C++ compiler compiles the same
# files with the stand-in headers of tests/emulator/ into gmail_tests_emulated, which runs every op's tests on them.
file(GLOB GMAIL_CUDA_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cuda/*.cu)

function(gmail_add_cuda_backend target)
  target_sources(${target} PRIVATE ${GMAIL_CUDA_SOURCES} cuda/blas.cpp)
  target_include_directories(${target} PRIVATE cuda)
  target_compile_definitions(${target} PRIVATE GMAIL_CUDA=1)
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-Werror=all-warnings;-Xcompiler=-Wall,-Wextra>")
  target_link_libraries(${target} PRIVATE CUDA::cudart_static CUDA::cublasLt)
  set_target_properties(${target} PROPERTIES CUDA_STANDARD 20 CUDA_EXTENSIONS OFF CUDA_ARCHITECTURES "${GMAIL_CUDA_ARCHITECTURES}")
endfunction()

# A .cu file belongs to one language in a folder: the emulated builds include each from a .cpp file of their own.
function(gmail_add_emulated_tests name)  # and flags for the kernels
  file(GLOB sources CONFIGURE_DEPENDS src/core/*.cpp src/ops/*.cpp src/autograd/*.cpp tests/emulator/*.cpp)
  list(FILTER sources EXCLUDE REGEX "build_info.cpp|gemm_bench.cpp|/race.cpp|/test_")
  set(tests tests/main.cpp tests/gradcheck.cpp)
  foreach(kernel IN LISTS GMAIL_CUDA_SOURCES ITEMS ${CMAKE_SOURCE_DIR}/tests/emulator/test_emulator.cpp)
    get_filename_component(op ${kernel} NAME_WE)
    file(CONFIGURE OUTPUT emulated/${name}/${op}.cpp CONTENT "#include \"${kernel}\"\n")
    list(APPEND kernels ${CMAKE_BINARY_DIR}/emulated/${name}/${op}.cpp)
    if(EXISTS ${CMAKE_SOURCE_DIR}/tests/test_${op}.cpp)
      list(APPEND tests tests/test_${op}.cpp)
    endif()
  endforeach()
  # nvcc does not warn of conversions either
  set_source_files_properties(${kernels} PROPERTIES COMPILE_OPTIONS "-Wno-conversion;${ARGN}")
  add_executable(${name} EXCLUDE_FROM_ALL ${tests} ${sources} ${kernels})
  target_compile_definitions(${name} PRIVATE GMAIL_CUDA=1)
  target_include_directories(${name} PRIVATE src cuda tests tests/emulator tests/emulator/include)
  target_include_directories(${name} SYSTEM PRIVATE ${CATCH2_INCLUDE_DIR})
  target_link_libraries(${name} PRIVATE gmail_options Threads::Threads $<TARGET_NAME_IF_EXISTS:Catch2::Catch2>)
endfunction()

# The kernels' accesses to memory go to the race detector, which stands in for ThreadSanitizer's library.
function(gmail_add_race_tests)
  gmail_add_emulated_tests(gmail_tests_races -fsanitize=thread)
  target_sources(gmail_tests_races PRIVATE tests/emulator/race.cpp)
  target_compile_definitions(gmail_tests_races PRIVATE GMAIL_RACES=1)
endfunction()
