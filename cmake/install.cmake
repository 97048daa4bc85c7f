# cmake --install, cpack: where each thing goes.

set(NEAP_LUA_MODULE_DIR ${CMAKE_INSTALL_LIBDIR}/lua/5.4 CACHE STRING "Where the module neap.so goes")
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/neap)
file(RELATIVE_PATH include_from_pc
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_FULL_INCLUDEDIR})
file(RELATIVE_PATH libdir_from_pc ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_FULL_LIBDIR})
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
