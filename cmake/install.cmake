# What `cmake --install` and `cpack` put where, and what is made for that alone: pages and types.

include(CMakePackageConfigHelpers)

set(NEAP_LUA_MODULE_DIR ${CMAKE_INSTALL_LIBDIR}/lua/5.4 CACHE STRING "Where neap.so goes, for `require`")

# The command, the libraries, and how programs in C find them

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/neap)
file(RELATIVE_PATH libdir_from_pc
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH includedir_from_pc
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(cmake/neap.pc.in neap.pc @ONLY)
configure_file(cmake/neapConfig.cmake.in neapConfig.cmake @ONLY)
write_basic_package_version_file(neapConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS neap)
install(TARGETS neap_static neap_shared EXPORT neapTargets)
install(TARGETS neap_module DESTINATION ${NEAP_LUA_MODULE_DIR})
install(FILES src/neap.h TYPE INCLUDE)
install(FILES ${CMAKE_BINARY_DIR}/neap.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(EXPORT neapTargets NAMESPACE neap:: DESTINATION ${package_dir})
install(FILES ${CMAKE_BINARY_DIR}/neapConfig.cmake ${CMAKE_BINARY_DIR}/neapConfigVersion.cmake
  DESTINATION ${package_dir})

# Pages and completions

# Debian's packages have some things in other places than what is installed by hand.
install(CODE "set(license LICENSE)
  set(zsh_folder site-functions)
  if(CMAKE_INSTALL_PREFIX MATCHES /usr\$ AND EXISTS /etc/debian_version)
    set(license copyright)
    set(zsh_folder vendor-completions)
  endif()")
install(FILES README.md CHANGELOG.md TYPE DOC)
install(FILES LICENSE TYPE DOC RENAME $<1:\${license}>)
install(DIRECTORY docs TYPE DOC FILES_MATCHING PATTERN *.md PATTERN types EXCLUDE)
install(DIRECTORY examples TYPE DOC)
install(FILES packaging/neap.bash RENAME neap
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES packaging/neap.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES packaging/neap.zsh RENAME _neap
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/$<1:\${zsh_folder}>)

# What Lua makes of the sources: the new command, where there is no stock interpreter. Under sanitizers
# nothing is installed.

if(NEAP_SANITIZE)
  return()
endif()
find_program(NEAP_INTERPRETER NAMES lua5.4 lua-5.4 lua54)
mark_as_advanced(NEAP_INTERPRETER)
set(lua $<IF:$<BOOL:${NEAP_INTERPRETER}>,${NEAP_INTERPRETER},$<TARGET_FILE:neap>>)

set(made ${CMAKE_BINARY_DIR}/share)
set(types ${made}/library)
set(modules testing fs signal subprocess tls) # beside the first one
list(TRANSFORM modules REPLACE "(.+)" "${types}/neap/\\1.lua" OUTPUT_VARIABLE module_types)
add_custom_command(OUTPUT ${types}/neap.lua ${module_types}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${types}/neap
  COMMAND ${CMAKE_COMMAND} -E make_directory ${made}/reference
  COMMAND ${lua} cmake/types.lua docs/types/neap.lua lua/neap ${types} ${modules}
  COMMAND ${lua} cmake/reference.lua ${types} ${made}/reference ${modules}
  DEPENDS cmake/types.lua cmake/reference.lua cmake/files.lua docs/types/neap.lua ${lua_files}
  WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} COMMENT "Types for lua-language-server, and pages" VERBATIM)
install(DIRECTORY ${types} DESTINATION ${CMAKE_INSTALL_DATADIR}/neap)

# Pages are compressed where there is gzip, as Debian wants them. (-n: the same bytes in each build)
find_program(NEAP_GZIP gzip)
mark_as_advanced(NEAP_GZIP)
add_custom_command(OUTPUT ${made}/man.made
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${made}/man
  COMMAND ${CMAKE_COMMAND} -E make_directory ${made}/man/man1 ${made}/man/man3
  COMMAND ${CMAKE_COMMAND} -E copy docs/neap.1 ${made}/man/man1
  COMMAND ${lua} cmake/man3.lua src/neap.h ${made}/man/man3
  COMMAND $<IF:$<BOOL:${NEAP_GZIP}>,${NEAP_GZIP},true> -r9n ${made}/man
  COMMAND ${CMAKE_COMMAND} -E touch ${made}/man.made
  DEPENDS docs/neap.1 cmake/man3.lua cmake/files.lua src/neap.h
  WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} COMMENT "Manual pages" VERBATIM)
install(DIRECTORY ${made}/man/ TYPE MAN)

add_custom_target(neap_share ALL DEPENDS ${types}/neap.lua ${made}/man.made)

# cmake --build ... --target package

set(CPACK_PACKAGE_VENDOR "neap developers")
set(CPACK_PACKAGE_CONTACT "neap developers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "async runtime for Lua 5.4 on libuv")
set(CPACK_GENERATOR TGZ)
if(EXISTS /etc/debian_version)
  set(CPACK_GENERATOR DEB)
endif()
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION interpreters)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "lua5.4, lua-busted, liblua5.4-dev, libuv1-dev, pkg-config")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"neap runs Lua scripts in a loop in which many tasks run at once: asyncio's
vocabulary, structured concurrency, and plain Lua functions, any of which may
await.
.
The package holds the command, the module for the stock interpreter, and the
library and header for programs in C; these also need liblua5.4-dev and
libuv1-dev.")
include(CPack)
