-- What users install, where it goes, and that it works there.
local example = require "spec.support.example"
local installed = require "spec.support.installed"
local program = require "spec.support.program"

local HOST <const> = [[
#include <lauxlib.h>
#include <neap.h>
#include <stdio.h>

int main(void) {
  neap_t *neap = neap_new(NULL);
  if (!neap) return 1;
  if (luaL_loadstring(neap_state(neap), "require 'neap'.sleep(0.01) print('slept')") != LUA_OK) return 1;
  if (neap_call(neap, 0, NULL) != LUA_OK) return 1;
  neap_free(neap);
  return puts("freed") < 0;
}
]]

local PROJECT <const> = [[
cmake_minimum_required(VERSION 3.25)
project(host LANGUAGES C)
find_package(neap 0.1 REQUIRED)
foreach(library neap neap_static)
  add_executable(with_${library} host.c)
  target_link_libraries(with_${library} PRIVATE neap::${library})
endforeach()
]]

-- Examples that await in their body, which the command makes a task; here neap.run does.
local AWAITING <const> = {
  bounded_buffer = true, chat = true, concurrent = true, context = true, copy_file = true, counter = true,
  echo_cores = true, forward = true, hello = true, http_many = true, inspect = true, interval = true, make = true,
  parallel = true, queue_workers = true, sequential = true, sheep = true, sheep_semaphore = true, shell = true,
  tail = true, threadsafe = true, threadsafe_tasks = true, udp_echo = true,
}

-- Those that run until they are ended, that want arguments, and one that goes on when its body has ended.
local FOR_THE_COMMAND <const> = { echo = true, fetch = true, store = true, thread_daemon = true, tls_client = true }

local IN_A_TASK <const> = [[
  local neap = require "neap"
  neap.install()
  neap.Runner { clock = "virtual" }:run(assert(loadfile(table.remove(arg, 1))))]]

local function assert_prints(expected, result)
  assert.equal("", result.stderr)
  assert.equal(expected, result.stdout)
  assert.equal(0, result.status)
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

local function read(file)
  local input <close> = assert(io.open(file))
  return input:read "a"
end

-- The options of the command, as its usage tells them.
local function options()
  local list = {}
  for option in program.run({ program.neap, "-x" }).stderr:gmatch "\n  (%-%-?[%a]*=?)" do list[#list + 1] = option end
  assert.is_true(#list > 8)
  return list
end

describe("what is installed", function()
  if not installed.is_possible then return end
  local dir

  setup(function() dir = installed.new() end)
  teardown(function() dir:remove() end)

  it("is in its place", function()
    for _, name in ipairs {
      "bin/neap", "include/neap.h", "lib/libneap.a", "lib/libneap.so", "lib/lua/5.4/neap.so", "lib/pkgconfig/neap.pc",
      "lib/cmake/neap/neapConfig.cmake", "share/bash-completion/completions/neap",
      "share/zsh/site-functions/_neap", "share/fish/vendor_completions.d/neap.fish", "share/neap/library/neap.lua",
      "share/neap/library/neap/testing.lua",
      "share/doc/neap/README.md", "share/doc/neap/LICENSE", "share/doc/neap/CHANGELOG.md",
      "share/doc/neap/docs/model.md",
      "share/doc/neap/examples/sheep.lua",
    } do
      assert_prints("", dir:shell('test -s "prefix/$1"', name))
    end
    assert_prints("", dir:shell "ls prefix/share/man/man1/neap.1* prefix/share/man/man3/neap.3* >/dev/null")
  end)

  it("is a command that runs", function()
    assert_prints("3\n", dir:shell [[prefix/bin/neap -e 'require "neap".sleep(0) print(1 + 2)']])
  end)

  it("names no place where it was built", function()
    local search = 'grep -rlF "$1" prefix/lib/pkgconfig prefix/lib/cmake prefix/share || true'
    assert_prints("", dir:shell(search, installed.build))
  end)

  it("has its module where Debian's lua5.4 looks, under /usr and /usr/local", function()
    local cpath = dir:shell("env -i PATH=\"$PATH\" lua5.4 -e 'print(package.cpath)'").stdout
    for _, prefix in ipairs { "/usr", "/usr/local" } do
      assert.matches(prefix .. "/lib/lua/5.4/?.so", cpath, 1, true)
    end
  end)

  it("is a module of the stock interpreter", function()
    assert_prints("slept\n", dir:shell(installed.LUA_CPATH .. [[ lua5.4 -e '
      local neap = require "neap"
      neap.run(function() neap.sleep(0.01) print "slept" end)']]))
  end)

  it("runs every example in the stock interpreter that is not for the command alone", function()
    dir:write("in_a_task.lua", IN_A_TASK)
    local enter = "export " .. installed.LUA_CPATH:gsub('"$', ';;"') .. "; cd prefix/share/doc/neap && "
    local init = [[LUA_INIT='require "neap" require("neap.testing").virtual_clock()' ]]
    for _, file in ipairs(lines_of(dir:shell("cd prefix/share/doc/neap/examples && ls *.lua").stdout)) do
      local name = file:match "^(.*)%.lua$"
      local command = AWAITING[name] and "lua5.4 ../../../../in_a_task.lua" or init .. "lua5.4"
      local result = dir:shell(enter .. command .. ' "examples/$1"', file)
      if FOR_THE_COMMAND[name] then
        assert.equal(1, result.status, name)
        assert(result.stderr:find "outside a task" or result.stderr:find "no loop is running"
          or result.stderr:find "is opened in a task", result.stderr)
      else
        example.assert_prints(example.expectation("examples/" .. file), result, name)
      end
    end
  end)

  it("is found by pkg-config, and a program in C links with the shared library", function()
    dir:write("host.c", HOST)
    assert_prints("slept\nfreed\n", dir:shell [[
      export PKG_CONFIG_PATH="$PWD/prefix/lib/pkgconfig" LD_LIBRARY_PATH="$PWD/prefix/lib"
      cc -Wall -Werror -o host host.c $(pkg-config --cflags --libs neap) && ./host]])
    assert_prints("libneap.so.0\n", dir:shell "objdump -p host | awk '/NEEDED *libneap/ { print $2 }'")
  end)

  it("is found by pkg-config, and a program in C links with the archive", function()
    dir:write("host.c", HOST)
    assert_prints("slept\nfreed\n", dir:shell [[
      export PKG_CONFIG_PATH="$PWD/prefix/lib/pkgconfig"
      flags=$(pkg-config --static --cflags --libs neap | sed 's/-lneap/-l:libneap.a/')
      cc -Wall -Werror -o host host.c $flags && ./host]])
  end)

  it("is found by CMake, with both libraries", function()
    dir:write("host.c", HOST)
    dir:write("CMakeLists.txt", PROJECT)
    local built = dir:shell [[cmake -G Ninja -B build -DCMAKE_PREFIX_PATH="$PWD/prefix" >log 2>&1 &&
      cmake --build build >>log 2>&1 || cat log]]
    assert_prints("", built)
    assert_prints("slept\nfreed\n", dir:shell "build/with_neap")
    assert_prints("slept\nfreed\n", dir:shell "build/with_neap_static")
  end)

  it("has types that lua-language-server is told of in README.md", function()
    local folder = read("README.md"):match '"workspace.library": %["[^"]*/(share/neap/library)"%]'
    assert_prints("neap.lua\n", dir:shell("ls prefix/$1 | grep lua", folder))
  end)

  it("compiles programs", function()
    dir:write("app.lua", "print('compiled', ...)")
    assert_prints("compiled\tx\n", dir:shell "prefix/bin/neap compile app.lua -o app && ./app x")
  end)

  it("can be stripped, and compiles programs all the same", function()
    dir:write("app.lua", "print('compiled', ...)")
    assert_prints("compiled\tx\n",
      dir:shell "strip -o neap prefix/bin/neap && ./neap compile app.lua -o app && ./app x")
  end)
end)

describe("the manual", function()
  local page = read "docs/neap.1"

  it("has every option of the command", function()
    for _, option in ipairs(options()) do
      local name = option:gsub("^%-", ""):gsub("=$", " Ns =")
      assert(page:find("\n.It Fl " .. name, 1, true), option)
    end
  end)

  it("has every variable of the environment that neap looks at", function()
    local list <close> = io.popen "find src lua -type f -exec cat {} +"
    for name in list:read("a"):gmatch "getenv[ (]*\"([%u_]+)\"" do
      assert(page:find("\n.It Ev [^\n]*" .. name .. "[^_%u]"), name)
    end
  end)

  it("has every function of the header", function()
    if not installed.is_possible then return end
    local dir <close> = installed.new()
    local text = dir:shell("gzip -dcf prefix/share/man/man3/neap.3*").stdout
    for name in read("src/neap.h"):gmatch "\nNEAP_API [^;]-([%a_]+)%(" do
      assert(text:find("[ *]" .. name .. "%("), name)
      assert_prints("", dir:shell('ls prefix/share/man/man3 | grep -q "^$1.3"', name))
    end
    assert_prints(".so man3/neap.3\n", dir:shell "gzip -dcf prefix/share/man/man3/neap_new.3*")
  end)

  it("is without fault", function()
    if not installed.is_possible then return end
    if not installed.has "mandoc" then return pending "mandoc is not here" end
    local dir <close> = installed.new()
    assert_prints("", dir:shell [[for page in 1 3; do
      gzip -dcf prefix/share/man/man$page/neap.$page* | mandoc -T lint -W warning; done]])
  end)
end)

describe("a completion", function()
  -- What bash offers for the last word of a line, sorted.
  local function bash(...)
    local code = [[source packaging/neap.bash
      cd spec
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
      _neap
      printf '%s\n' "${COMPREPLY[@]}" | sort]]
    local result = program.run { "bash", "-c", code, "bash", "neap", ... }
    assert.equal("", result.stderr)
    return table.concat(lines_of(result.stdout), " ")
  end

  it("has every option", function()
    local fish = read "packaging/neap.fish"
    local zsh = read("packaging/neap.zsh"):match "\n  %*%).*"
    for _, option in ipairs(options()) do
      if option ~= "-" then
        assert(bash(option):find(option, 1, true), option)
        if option ~= "--" then
          assert(zsh:find("'[*]?" .. option:gsub("%p", "%%%0")), "zsh: " .. option)
          local words = option:find "^%-%-" and "-l " .. option:match "%a+" or "-s " .. option:match "%a"
          assert(fish:find(words, 1, true), "fish: " .. option)
        end
      end
    end
  end)

  it("offers words, folders and Lua files in the first place", function()
    local offered = " " .. bash("") .. " "
    for _, word in ipairs { "compile", "test", "core", "packages_spec.lua" } do
      assert(offered:find(" " .. word .. " ", 1, true), offered)
    end
    assert.is_nil(offered:find("README", 1, true))
    assert.equal("compile compile_spec.lua core", bash "co")
  end)

  it("knows what may follow", function()
    assert.equal("real virtual", bash("--clock", "="))
    assert.equal("virtual", bash("--clock", "=", "v"))
    assert.equal("-l -o", bash("compile", "-"))
    assert.equal("types_spec.lua", bash("test", "typ"))
    assert.equal("types_spec.lua", bash("--clock", "=", "virtual", "typ"))
    assert.equal("--filter-out= --filter=", bash("test", "--filter"))
    assert.equal("", bash("-e", ""))
    assert.equal("", bash("script.lua", "typ"))
    assert.equal("types_spec.lua", bash("-e", "code", "typ"))
  end)

  it("is right for its shell", function()
    for shell, file in pairs { bash = "neap.bash", zsh = "neap.zsh", fish = "neap.fish" } do
      if installed.has(shell) then assert_prints("", program.run { shell, "-n", "packaging/" .. file }) end
    end
  end)

  it("works in fish", function()
    if not installed.has "fish" then return pending "fish is not here" end
    local function fish(line)
      local code = "source packaging/neap.fish; complete -C $argv[1] | cut -f 1"
      return table.concat(lines_of(program.run({ "fish", "--no-config", "-c", code, line }).stdout), " ")
    end
    assert.equal("--clock=real --clock=virtual", fish "neap --clock=")
    assert.equal("-l -o", fish "neap compile -")
    assert.matches("spec/types_spec.lua", fish "neap spec/typ", 1, true)
  end)
end)

describe("a package", function()
  if not installed.is_possible then return end

  it("of LuaRocks brings module and command", function()
    if not installed.has "luarocks" then return pending "luarocks is not here" end
    local dir <close> = require("spec.support.folder").new()
    local made = dir:shell([[tree=$PWD/tree; cd "$1"
      grep -qx "CMAKE_HOME_DIRECTORY:INTERNAL=$1" build/luarocks/CMakeCache.txt 2>/dev/null || rm -rf build/luarocks
      export NEAP_CMAKE_OPTIONS='-DNEAP_LTO=OFF -DCMAKE_C_FLAGS_RELEASE=-O0'
      timeout 17 luarocks --lua-version 5.4 make --tree "$tree" >"$tree.log" 2>&1 && exit
      [ $? = 124 ] && echo late || cat "$tree.log"]], os.getenv "PWD")
    if made.stdout == "late\n" then return pending "it took too long; the next time it goes on from there" end
    assert_prints("", made)
    assert_prints("slept\n0.1.0\n", dir:shell [[eval "$(luarocks --lua-version 5.4 path --tree "$PWD/tree")"
      lua5.4 -e 'local neap = require "neap" neap.run(function() neap.sleep(0.01) print "slept" end)'
      tree/bin/neap -e 'print(require "neap"._VERSION)']])
  end)

  it("of Debian has what it needs written in it, and runs", function()
    if not installed.has "cpack" or not installed.has "dpkg-shlibdeps" then return pending "dpkg-dev is not here" end
    local dir <close> = require("spec.support.folder").new()
    assert_prints("", dir:shell([[cpack --config "$1/CPackConfig.cmake" -G DEB -B "$PWD" >log 2>&1 || cat log
      mv neap_*.deb neap.deb && dpkg-deb -x neap.deb root]], installed.build))
    local depends = dir:shell("dpkg-deb -f neap.deb Depends").stdout
    for _, library in ipairs { "libc6", "liblua5.4-0", "libuv1" } do assert.matches(library, depends, 1, true) end
    assert_prints("neap neap developers interpreters\n",
      dir:shell "echo $(dpkg-deb --showformat='${Package} ${Maintainer} ${Section}' -W neap.deb)")
    assert_prints("slept\n", dir:shell [[root/usr/bin/neap -e 'require "neap".sleep(0) print "slept"']])
    assert_prints("", dir:shell [[cd root/usr && ls >/dev/null share/doc/neap/copyright share/man/man1/neap.1.gz \
      lib/lua/5.4/neap.so share/zsh/vendor-completions/_neap]])
  end)
end)
