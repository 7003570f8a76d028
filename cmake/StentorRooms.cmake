# SPDX-License-Identifier: Apache-2.0
# Every library is a room (docs/architecture.md). A pure room takes facts and time as arguments and
# returns what is to be done; it may link other pure rooms and a short list of libraries, and
# stentor_check_purity() refuses the configuration where it links anything else, also indirectly.

set(STENTOR_PURE_EXTERNAL
  absl:: nlohmann_json::nlohmann_json stentor_options)

# stentor_pure_library(NAME [DEPENDS rooms...] [EXTERNAL libraries...] [HIDDEN libraries...])
# HIDDEN names a library that this one room may link because its own header hides it.
function(stentor_pure_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;EXTERNAL;HIDDEN" ${ARGN})
  _stentor_room(${name} "${ARG_DEPENDS}" "${ARG_EXTERNAL}" "${ARG_HIDDEN}")
  set_property(TARGET ${name} PROPERTY STENTOR_PURE TRUE)
  set_property(TARGET ${name} PROPERTY STENTOR_HIDDEN "${ARG_HIDDEN}")
  set_property(GLOBAL APPEND PROPERTY STENTOR_PURE_ROOMS ${name})
endfunction()

# stentor_shell_library(NAME [DEPENDS rooms...] [EXTERNAL libraries...] [HIDDEN libraries...])
function(stentor_shell_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;EXTERNAL;HIDDEN" ${ARGN})
  _stentor_room(${name} "${ARG_DEPENDS}" "${ARG_EXTERNAL}" "${ARG_HIDDEN}")
endfunction()

# A room is all the .cc files of the calling folder; one without any is a header-only room.
function(_stentor_room name depends external hidden)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${depends} ${external})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC ${depends} ${external} PRIVATE stentor_options ${hidden})
endfunction()

function(_stentor_is_allowed library out)
  set(${out} FALSE PARENT_SCOPE)
  foreach(prefix IN LISTS STENTOR_PURE_EXTERNAL)
    string(FIND "${library}" "${prefix}" position)
    if(position EQUAL 0)
      set(${out} TRUE PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# Only direct links have to be looked at: each of them is an allowed library or a pure room, and
# every pure room is itself looked at.
function(stentor_check_purity)
  get_property(rooms GLOBAL PROPERTY STENTOR_PURE_ROOMS)
  foreach(room IN LISTS rooms)
    get_target_property(type ${room} TYPE)
    if(type STREQUAL "INTERFACE_LIBRARY")
      get_target_property(links ${room} INTERFACE_LINK_LIBRARIES)
    else()
      get_target_property(links ${room} LINK_LIBRARIES)
    endif()
    get_target_property(hidden ${room} STENTOR_HIDDEN)
    foreach(library IN LISTS links)
      _stentor_is_allowed(${library} allowed)
      if(allowed OR library IN_LIST hidden OR library IN_LIST rooms)
        continue()
      endif()
      message(FATAL_ERROR "${room} is a pure room and must not link ${library} "
        "(docs/architecture.md, \"Pure core, thin shell\"). Move what needs it into a shell room.")
    endforeach()
  endforeach()
endfunction()
