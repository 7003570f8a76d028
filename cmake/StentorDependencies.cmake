# SPDX-License-Identifier: Apache-2.0
# Libraries of the distribution (Debian bookworm; ./dev names the packages).

set(Boost_USE_DEBUG_RUNTIME OFF)  # Debian ships only the release variant
# Boost 1.74 is what Debian's cpprestsdk is built on; another one beside it must not be mixed in.
find_package(Boost 1.74 EXACT REQUIRED COMPONENTS system)
find_package(OpenSSL 3.0 REQUIRED)
find_package(absl REQUIRED)
find_package(cpprestsdk REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCAP REQUIRED IMPORTED_TARGET libpcap)
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)
if(STENTOR_TESTS)
  find_package(Catch2 2.13 REQUIRED)
  find_package(benchmark REQUIRED)
  find_path(RAPIDCHECK_INCLUDE_DIR rapidcheck.h REQUIRED)
  find_library(RAPIDCHECK_LIBRARY rapidcheck REQUIRED)
endif()
