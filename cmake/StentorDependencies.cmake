# SPDX-License-Identifier: Apache-2.0
# Libraries of the distribution (Debian bookworm; ./dev names the packages).

option(STENTOR_STATIC "Link abseil, yaml-cpp and libpcap from archives: what is shipped" OFF)

set(Boost_USE_DEBUG_RUNTIME OFF)  # Debian ships only the release variant
# Boost 1.74 is what Debian's cpprestsdk is built on; another one beside it must not be mixed in.
find_package(Boost 1.74 EXACT REQUIRED COMPONENTS system)
find_package(OpenSSL 3.0 REQUIRED)
find_package(absl REQUIRED)
find_package(cpprestsdk REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(simdjson 3.0 REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCAP REQUIRED IMPORTED_TARGET libpcap)
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)

# The packages' CMake files name shared libraries only. From archives, only what is used is linked: some fifty files
# less to map, each with pages of its own, and libpcap without libdbus, libsystemd and what those bring along
# (pcap_without_dbus.cc). cpprestsdk and what it needs (OpenSSL among it) exist as shared libraries only.
if(STENTOR_STATIC)
  get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS imported)
    get_target_property(shared ${target} IMPORTED_LOCATION_NONE)
    if(target MATCHES "^(absl::|yaml-cpp)" AND shared)
      string(REGEX REPLACE "\\.so[.0-9]*$" ".a" archive "${shared}")
      if(NOT EXISTS "${archive}")
        message(FATAL_ERROR "STENTOR_STATIC: ${archive} is missing (package libabsl-dev or libyaml-cpp-dev)")
      endif()
      set_target_properties(${target} PROPERTIES IMPORTED_LOCATION_NONE "${archive}")
    endif()
  endforeach()
  find_library(STENTOR_PCAP_ARCHIVE libpcap.a REQUIRED)
  # Objects, not an archive: whatever the order of archives, these come first.
  add_library(stentor_pcap_without_dbus OBJECT ${CMAKE_CURRENT_LIST_DIR}/pcap_without_dbus.cc)
  set_target_properties(PkgConfig::PCAP PROPERTIES INTERFACE_LINK_LIBRARIES
    "$<TARGET_OBJECTS:stentor_pcap_without_dbus>;${STENTOR_PCAP_ARCHIVE}")
endif()
if(STENTOR_TESTS)
  find_package(Catch2 2.13 REQUIRED)
  find_package(benchmark REQUIRED)
  find_path(RAPIDCHECK_INCLUDE_DIR rapidcheck.h REQUIRED)
  find_library(RAPIDCHECK_LIBRARY rapidcheck REQUIRED)
endif()
