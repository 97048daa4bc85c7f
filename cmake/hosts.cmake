# Programs for the specs alone: nothing of this is installed.

# Without this ThreadSanitizer does not survive many of Lua's jumps: see the file.
if(NEAP_SANITIZE MATCHES thread)
  set(tsan_longjmp spec/support/tsan_longjmp.c)
  target_sources(neap PRIVATE ${tsan_longjmp})
endif()

# The hosts of examples/hosts, built as users build theirs; those of spec/hosts, of which some have their allocations counted.
file(GLOB example_hosts CONFIGURE_DEPENDS examples/hosts/*.c)
foreach(file ${example_hosts} spec/hosts/clock.c spec/hosts/cut.c spec/hosts/misuse.c)
  cmake_path(GET file STEM name)
  add_executable(host_${name} ${file} ${tsan_longjmp})
  set_target_properties(host_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/hosts)
  target_link_libraries(host_${name} PRIVATE neap_static Threads::Threads)
endforeach()
foreach(name cut misuse)
  target_sources(host_${name} PRIVATE spec/hosts/counting.c)
  target_link_options(host_${name} PRIVATE -fno-lto LINKER:--wrap=malloc LINKER:--wrap=calloc
    LINKER:--wrap=realloc LINKER:--wrap=free LINKER:--wrap=luaL_newstate)
endforeach()
