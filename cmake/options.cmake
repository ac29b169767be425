# SPDX-License-Identifier: LGPL-2.1-or-later
# Compiler and linker options of all targets of the project.

add_library(nsr_options INTERFACE)
target_compile_options(nsr_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor
  -Werror -fstack-protector-strong)
target_compile_definitions(nsr_options INTERFACE _GLIBCXX_ASSERTIONS NSR_VERSION="${PROJECT_VERSION}")
target_include_directories(nsr_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_link_options(nsr_options INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
if(NSR_SANITIZE)
  target_compile_options(nsr_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(nsr_options INTERFACE -fsanitize=address,undefined)
endif()
if(NSR_FUZZ)
  target_compile_options(nsr_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_definitions(nsr_options INTERFACE _FORTIFY_SOURCE=3)
endif()

# A room of the source tree: all its .cc files, as the static library nsr_<name>, with the rooms it may use.
function(nsr_room name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  add_library(nsr_${name} STATIC ${sources})
  target_link_libraries(nsr_${name} PUBLIC nsr_options ${ARGN})
endfunction()
