# The library that specs preload to let calls of the C library fail, and its module for Lua. Not installed. No
# sanitizer: theirs must be the first library, and they stand between the same calls.
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT NEAP_SANITIZE)
  add_library(sysfaults MODULE spec/support/sysfaults.c)
  add_library(neap_sysfaults MODULE spec/support/sysfaults_module.c)
  target_link_libraries(sysfaults PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
  target_link_libraries(neap_sysfaults PRIVATE ${CMAKE_DL_LIBS})
  target_include_directories(neap_sysfaults SYSTEM PRIVATE
    $<TARGET_PROPERTY:PkgConfig::NEAP_LUA,INTERFACE_INCLUDE_DIRECTORIES>)
  set_target_properties(sysfaults neap_sysfaults PROPERTIES
    PREFIX "" SUFFIX .so LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/module)
endif()
