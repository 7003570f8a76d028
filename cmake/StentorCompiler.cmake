# SPDX-License-Identifier: Apache-2.0
# Language level, warnings, hardening, sanitizers and compiler cache, for our own code only.

option(STENTOR_TESTS "Build tests, fuzz replays and benchmarks" OFF)
option(STENTOR_FUZZ "Link the fuzz targets with libFuzzer instead of the corpus replayer" OFF)
set(STENTOR_SANITIZE "" CACHE STRING "Sanitizers, as the compiler's -fsanitize= takes them")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

add_library(stentor_options INTERFACE)
target_compile_options(stentor_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Werror
  # Designated initializers leave out what has a default.
  -Wno-missing-field-initializers
  # GCC 12 sees absl::InlinedVector's storage uninitialized where it is not.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
target_include_directories(stentor_options INTERFACE ${PROJECT_SOURCE_DIR})

# Flags that must be the same in every object file.
add_compile_options(-fstack-protector-strong)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -D_FORTIFY_SOURCE=2")
  add_compile_options(-ffunction-sections -fdata-sections)
  add_link_options(-Wl,-z,relro,-z,now -Wl,--gc-sections -pie)
elseif(CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(CMAKE_CXX_FLAGS_DEBUG "-Og -g1")
  add_compile_definitions(STENTOR_CHECK_INVARIANTS)
endif()
if(STENTOR_SANITIZE)
  add_compile_options(-fsanitize=${STENTOR_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${STENTOR_SANITIZE})
  add_compile_definitions(STENTOR_CHECK_INVARIANTS)
endif()
if(STENTOR_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(STENTOR_CCACHE ccache)
if(STENTOR_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Precompiled headers are cached only where ccache may ignore their time stamps.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${STENTOR_CCACHE})
endif()
find_program(STENTOR_MOLD mold)
if(STENTOR_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
