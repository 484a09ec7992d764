# The sources, the SIMD levels, and what is compiled with what: for the package (../CMakeLists.txt)
# and for the unit tests (tests/CMakeLists.txt).

# A new .cpp file is one more line here: in ENGINE what knows nothing of Python.
set(PELLUCID_ENGINE
  network.cpp
  network_predict.cpp
  session.cpp
  stages/batchnorm.cpp
  stages/convolution.cpp
  stages/dense.cpp
  stages/dropout.cpp
  stages/embedding.cpp
  stages/gru.cpp
  stages/kinds.cpp
  stages/layernorm.cpp
  stages/lstm.cpp
  stages/pool.cpp
  stages/recurrent.cpp
  stages/scale.cpp
  stages/structure.cpp
)
set(PELLUCID_BINDINGS
  bind.cpp
  bind_math.cpp
  bind_measure.cpp
  bind_network.cpp
  bind_session.cpp
)
list(TRANSFORM PELLUCID_ENGINE PREPEND "${CMAKE_CURRENT_LIST_DIR}/")
list(TRANSFORM PELLUCID_BINDINGS PREPEND "${CMAKE_CURRENT_LIST_DIR}/")

# PELLUCID_FLAGS         flags of every target
# PELLUCID_LEVELS        the levels of the processor family that is compiled for
# PELLUCID_FLAGS_level   flags of one level; cpu.hpp lists what a CPU must have to run it

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

# The vector extensions that vec.hpp is written in, and C++20.
set(oldest_GNU 11)
set(oldest_Clang 14)
set(oldest_AppleClang 14)
if(NOT DEFINED oldest_${CMAKE_CXX_COMPILER_ID}
   OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS oldest_${CMAKE_CXX_COMPILER_ID})
  message(FATAL_ERROR
    "The fused engine needs GCC 11 or newer, or Clang 14 or newer. This compiler is "
    "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}: ${CMAKE_CXX_COMPILER}. "
    "CXX=g++-12, say, names another; on Windows, CMAKE_GENERATOR_TOOLSET=ClangCL takes Visual "
    "Studio's clang-cl.")
endif()

# The numbers are those of the source as written: a fused multiply-add stands where fma() stands, and
# never -ffast-math. -fno-strict-aliasing is nanobind's; the unit tests shall run the same code.
set(PELLUCID_FLAGS -ffp-contract=off -fno-math-errno -fno-strict-aliasing -Wall -Wextra)

# Asked of the compiler, which knows what it compiles for (-m32, -arch, a cross compiler).
include(CheckCXXSourceCompiles)
check_cxx_source_compiles(
  "#ifndef __x86_64__\n#error\n#endif\nint main() { return 0; }" PELLUCID_X86_64)
check_cxx_source_compiles(
  "#ifndef __aarch64__\n#error\n#endif\nint main() { return 0; }" PELLUCID_AARCH64)

if(PELLUCID_X86_64)
  set(PELLUCID_LEVELS baseline avx2 avx512)
  # -march after the user's CXXFLAGS: with -march=native, baseline would be something else.
  set(PELLUCID_FLAGS_baseline -march=x86-64)
  set(PELLUCID_FLAGS_avx2 -march=x86-64 -mavx2 -mfma)
  set(PELLUCID_FLAGS_avx512 ${PELLUCID_FLAGS_avx2} -mavx512f -mavx512dq -mavx512vl -mavx512bw)
elseif(PELLUCID_AARCH64)
  set(PELLUCID_LEVELS neon)
  set(PELLUCID_FLAGS_neon)
else()
  set(PELLUCID_LEVELS baseline)
  set(PELLUCID_FLAGS_baseline)
endif()

# clang-cl takes Clang's own flags behind /clang: only. Bare, it would pass over -ffp-contract=off with
# a warning, and its -Wall means every warning that there is.
if("${CMAKE_CXX_COMPILER_FRONTEND_VARIANT}" STREQUAL "MSVC")
  list(TRANSFORM PELLUCID_FLAGS PREPEND "/clang:")
  foreach(level IN LISTS PELLUCID_LEVELS)
    list(TRANSFORM PELLUCID_FLAGS_${level} PREPEND "/clang:")
  endforeach()
  list(APPEND PELLUCID_FLAGS /EHsc)  # exceptions; CMake gives it too, unless CMAKE_CXX_FLAGS is set
endif()
