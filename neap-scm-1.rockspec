rockspec_format = "3.0"
package = "neap"
version = "scm-1"
source = {
  url = ".", -- luarocks make, in a checkout
}
description = {
  summary = "An async runtime for Lua 5.4 on libuv",
  detailed = [[
    asyncio's vocabulary, structured concurrency, and plain Lua functions: any function may await, through pcall,
    iterators, metamethods and coroutines of your own.]],
  license = "MIT",
  labels = { "async", "concurrency", "network" },
}
dependencies = {
  "lua >= 5.4, < 5.5",
}
-- CMake finds Lua's and libuv's headers by pkg-config, as it does for everyone. What it shall be told besides may
-- stand in NEAP_CMAKE_OPTIONS.
build = {
  type = "command",
  build_command = "cmake -S . -B build/luarocks -DCMAKE_BUILD_TYPE=Release -DNEAP_LTO=ON $NEAP_CMAKE_OPTIONS"
    .. " && cmake --build build/luarocks --parallel --target neap neap_module",
  copy_directories = { "docs", "examples" },
  install = {
    lib = { neap = "build/luarocks/module/neap.so" },
    bin = { neap = "build/luarocks/neap" },
  },
}
deploy = {
  wrap_bin_scripts = false,
}
