# The CUDA backend: cuda/*.cu and the libraries' callers, cuda/*.cpp. Three ways to build it:
#   GMAIL_CUDA=ON        nvcc compiles the kernels into the library (AUTO: where it finds nvcc)
#   GMAIL_CUDA=EMULATED  the C++ compiler compiles the same kernels, and tests/emulator/ runs them on the CPU
#   gmail_tests_races    the ops' tests on the emulator, every access of a kernel under a race detector
file(GLOB GMAIL_CUDA_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cuda/*.cu)

# cuDNN is optional: in the system, beside the toolkit, or in a Python wheel's folder nvidia/cudnn.
set(GMAIL_CUDNN_DIR "" CACHE PATH "Folder of cuDNN, with include/ and lib/; empty: looked for in the system")
function(gmail_find_cudnn)
  set(where HINTS ${CUDAToolkit_INCLUDE_DIRS} ${CUDAToolkit_LIBRARY_DIR})
  if(GMAIL_CUDNN_DIR)
    set(where PATHS ${GMAIL_CUDNN_DIR} NO_DEFAULT_PATH)
  endif()
  find_path(CUDNN_INCLUDE_DIR cudnn_graph.h ${where} PATH_SUFFIXES include)
  find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 NAMES_PER_DIR ${where} PATH_SUFFIXES lib lib64)
  set(GMAIL_CONFIG_CUDNN "not found: --conv cudnn and --attention cudnn are refused" PARENT_SCOPE)
  if(NOT CUDNN_INCLUDE_DIR OR NOT CUDNN_LIBRARY)
    return()
  endif()
  file(STRINGS ${CUDNN_INCLUDE_DIR}/cudnn_version.h lines REGEX "define CUDNN_(MAJOR|MINOR|PATCHLEVEL) ")
  string(REGEX REPLACE "[^0-9;]" "" numbers "${lines}")
  string(REPLACE ";" "." version "${numbers}")
  if(version VERSION_LESS 9.16)
    set(GMAIL_CONFIG_CUDNN "${version} found, not used: 9.16 or newer is needed" PARENT_SCOPE)
    return()
  endif()
  set(GMAIL_CONFIG_CUDNN "${version}, ${CUDNN_LIBRARY}" PARENT_SCOPE)
  set(GMAIL_CUDNN ON PARENT_SCOPE)
  set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON PARENT_SCOPE)  # an installed program finds the wheel's library
endfunction()

function(gmail_add_cuda_backend target)
  target_sources(${target} PRIVATE ${GMAIL_CUDA_SOURCES} cuda/blas.cpp cuda/dnn_graphs.cpp)
  if(GMAIL_CUDNN)
    target_sources(${target} PRIVATE cuda/dnn.cpp)
    target_include_directories(${target} SYSTEM PRIVATE ${CUDNN_INCLUDE_DIR})
    target_link_libraries(${target} PRIVATE ${CUDNN_LIBRARY})
  else()
    target_sources(${target} PRIVATE cuda/no_dnn.cpp)
  endif()
  target_include_directories(${target} PRIVATE cuda)
  target_compile_definitions(${target} PRIVATE GMAIL_CUDA=1)
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-Werror=all-warnings;-Xcompiler=-Wall,-Wextra;-Xptxas=-v>")
  target_link_libraries(${target} PRIVATE CUDA::cudart_static CUDA::cublasLt)
  # No kernel asks for more than the first architecture has: one pass of the compiler serves the machine code of all.
  set(architectures ${GMAIL_CUDA_ARCHITECTURES})
  if(NOT GMAIL_CUDA_ARCHITECTURES MATCHES "[a-z]")
    list(GET architectures 0 first)
    list(TRANSFORM architectures PREPEND sm_)
    string(JOIN "," code ${architectures} compute_${first})
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-gencode=arch=compute_${first},code=[${code}]>")
    set(architectures OFF)
  endif()
  set_target_properties(${target} PROPERTIES CUDA_STANDARD 20 CUDA_EXTENSIONS OFF CUDA_ARCHITECTURES "${architectures}")
  # What ptxas says of registers goes to a file beside each object: scripts/check_spills.sh reads them.
  set_target_properties(${target} PROPERTIES CUDA_COMPILER_LAUNCHER ${CMAKE_SOURCE_DIR}/scripts/ptxas_log.sh)
endfunction()

# Flags belong to a file, not to a file of a target, and so does the language of a .cu file: each target compiles
# kernels, and the tests with kernels in them, by way of .cpp files of its own. nvcc does not warn of conversions either.
function(gmail_compile_emulated target flags)  # and files
  foreach(file IN LISTS ARGN)
    get_filename_component(name ${file} NAME_WE)
    set(own ${CMAKE_BINARY_DIR}/emulated/${target}/${name}.cpp)
    file(CONFIGURE OUTPUT ${own} CONTENT "#include \"${file}\"\n")
    set_source_files_properties(${own} PROPERTIES COMPILE_OPTIONS "-Wno-conversion;${flags}")
    target_sources(${target} PRIVATE ${own})
  endforeach()
  target_compile_definitions(${target} PRIVATE GMAIL_CUDA=1 GMAIL_EMULATED=1)
  target_include_directories(${target} PRIVATE cuda tests/emulator tests/emulator/include)
endfunction()

function(gmail_add_emulated_backend target)  # and flags for the kernels
  file(GLOB emulator CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/emulator/*.cpp)
  list(FILTER emulator EXCLUDE REGEX "/race.cpp|/test_")
  target_sources(${target} PRIVATE ${emulator} cuda/blas.cpp cuda/dnn_graphs.cpp)
  gmail_compile_emulated(${target} "${ARGN}" ${GMAIL_CUDA_SOURCES})
endfunction()

function(gmail_add_emulator_tests target)  # the emulator's own, planted bugs and all
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/emulator/test_*.cpp)
  gmail_compile_emulated(${target} "${ARGN}" ${tests})
endfunction()

# The kernels' accesses to memory go to the race detector, which stands in for ThreadSanitizer's library.
function(gmail_add_race_tests)
  file(GLOB sources CONFIGURE_DEPENDS src/core/*.cpp src/ops/*.cpp src/autograd/*.cpp)
  list(FILTER sources EXCLUDE REGEX "build_info.cpp|gemm_bench.cpp")
  set(tests tests/main.cpp tests/gradcheck.cpp tests/devices.cpp tests/test_dnn.cpp
      tests/emulator/race.cpp)
  foreach(kernel IN LISTS GMAIL_CUDA_SOURCES)
    get_filename_component(op ${kernel} NAME_WE)
    if(EXISTS ${CMAKE_SOURCE_DIR}/tests/test_${op}.cpp)
      list(APPEND tests tests/test_${op}.cpp)
    endif()
  endforeach()
  add_executable(gmail_tests_races EXCLUDE_FROM_ALL ${tests} ${sources})
  target_compile_definitions(gmail_tests_races PRIVATE GMAIL_RACES=1)
  target_include_directories(gmail_tests_races PRIVATE src tests)
  target_include_directories(gmail_tests_races SYSTEM PRIVATE ${CATCH2_INCLUDE_DIR})
  target_link_libraries(gmail_tests_races PRIVATE gmail_options Threads::Threads
                                                  $<TARGET_NAME_IF_EXISTS:Catch2::Catch2>)
  gmail_add_emulated_backend(gmail_tests_races -fsanitize=thread)
  gmail_add_emulator_tests(gmail_tests_races -fsanitize=thread)
endfunction()
