-- Who runs: the floors, neap, and the peers found on this machine.
--
-- A contestant has a `name` and `command(row)`, which gives the shell command of its program
-- for that row, or nil where it has none.
local shell = require "shell"

local contestants = {}

local cc_flags = "-O2 -Wall -Wextra -pthread"
local module_flags = "-shared -fPIC -Isrc "

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- Compiles `source` to `target` unless that is newer than all that it is made of.
local function compile(source, target, flags)
  local newer = {}
  for i, file in ipairs {source, "bench/lib/meter.h", "bench/lib/worker.h", "src/neap.h"} do
    newer[i] = ("test %s -nt %s"):format(target, file)
  end
  if shell.ok(table.concat(newer, " && ")) then return end
  local cc = os.getenv("CC") or "cc"
  assert(os.execute(("%s %s -o %s %s %s"):format(cc, cc_flags, target, source, flags)), "cannot build " .. source)
end

-- What the compiler needs for Lua 5.4 and libuv; distributions call Lua by several names.
local function library_flags()
  for _, lua in ipairs {"lua5.4", "lua-5.4", "lua54", "lua"} do
    local found = shell.output(("pkg-config --cflags --libs '%s >= 5.4' libuv"):format(lua))
    if found then return found end
  end
  error("pkg-config finds no Lua 5.4 and libuv")
end

-- For the servers with TLS.
local function make_certificate()
  if exists "build/bench/tls.pem" then return end
  assert(shell.ok("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 3650 "
    .. "-keyout build/bench/tls.key -out build/bench/tls.pem"), "openssl made no certificate")
end

-- Builds the floors, the load and the Lua modules.
function contestants.build()
  local flags = library_flags()
  for _, row in ipairs {
    "switch", "spawn", "sleepers", "timers", "queue", "echo", "host", "post", "channel", "cores", "file", "processes",
  } do
    compile(("bench/floor/%s.c"):format(row), "build/bench/floor_" .. row, flags)
  end
  for _, row in ipairs {"host", "post", "size"} do
    compile(("bench/neap/%s_calls.c"):format(row), ("build/bench/%s_calls.so"):format(row), module_flags .. flags)
  end
  for _, load in ipairs {"echo", "start"} do
    compile(("bench/load/%s.c"):format(load), "build/bench/load_" .. load, "")
  end
  compile("bench/floor/tls_echo.c", "build/bench/floor_tls_echo", flags .. " -lssl -lcrypto")
  compile("bench/load/echo.c", "build/bench/load_tls_echo", "-DLOAD_TLS -lssl -lcrypto")
  make_certificate()
  compile("bench/lib/malloc_bytes.c", "build/bench/malloc_bytes.so", module_flags .. flags)
end

function contestants.floor()
  local commands = {start = "lua5.4 -e ''", rest = "lua5.4 bench/neap/rest.lua"}
  return {
    name = "floor",
    command = function(row)
      local program = "build/bench/floor_" .. row
      return commands[row] or exists(program) and program or nil
    end,
  }
end

-- nil and the reason, if neap is not built.
function contestants.neap()
  local bin = os.getenv("NEAP_BIN") or "build/release/neap"
  if not exists(bin) then return nil, bin .. " is not there" end
  return {
    name = "neap",
    command = function(row)
      if row == "start" then return shell.quote(bin) .. " -e ''" end
      return ("%s bench/neap/%s.lua"):format(shell.quote(bin), row)
    end,
  }
end

-- A peer whose program for a row is a file that `interpreter` runs.
local function scripts(name, interpreter, folder, extension)
  return {
    name = name,
    command = function(row)
      local script = ("bench/peers/%s/%s.%s"):format(folder, row, extension)
      return exists(script) and interpreter .. " " .. script or nil
    end,
  }
end

-- The first Python that can import all of `modules`.
local function python(modules)
  for _, candidate in ipairs {"python3", "/usr/bin/python3"} do
    local found = shell.output(("%s -c 'import sys, %s; print(sys.executable)'"):format(candidate, modules))
    if found then return shell.quote(found) end
  end
end

local function asyncio()
  local interpreter = python("asyncio, uvloop") or python("asyncio")
  return interpreter and scripts("asyncio", interpreter, "asyncio", "py")
end

local function uvloop()
  local interpreter = python("asyncio, uvloop")
  return interpreter and scripts("uvloop", "env BENCH_LOOP=uvloop " .. interpreter, "asyncio", "py")
end

local function node()
  return shell.ok("node --version") and scripts("node", "node", "node", "js")
end

-- A Lua peer: `interpreter` if it can load `module`. Its programs share the folder's modules.
local function lua_peer(name, interpreter, module)
  if not shell.ok(("%s -e 'require \"%s\"'"):format(interpreter, module)) then return nil end
  local path = ("LUA_PATH='bench/peers/%s/?.lua;bench/lib/?.lua;;'"):format(module)
  return scripts(name, ("env %s %s"):format(path, interpreter), module, "lua")
end

local function luv() return lua_peer("luv", "lua5.4", "luv") end
local function luv_jit() return lua_peer("luv-jit", "luajit", "luv") end
local function cqueues() return lua_peer("cqueues", "lua5.4", "cqueues") end

local function go()
  if not shell.ok("go version") then return nil end
  local meter = "bench/peers/go/meter.go"
  return {
    name = "go",
    command = function(row)
      local source, program = ("bench/peers/go/%s.go"):format(row), "build/bench/go_" .. row
      if not exists(source) then return nil end
      assert(os.execute(("go build -o %s %s %s"):format(program, source, meter)), "cannot build " .. source)
      return program
    end,
  }
end

-- The peers that are here, and the names of those that are not.
function contestants.peers()
  local makers = {
    {"asyncio", asyncio}, {"uvloop", uvloop}, {"node", node}, {"go", go},
    {"luv", luv}, {"luv-jit", luv_jit}, {"cqueues", cqueues},
  }
  local found, missing = {}, {}
  for _, maker in ipairs(makers) do
    local peer = maker[2]()
    if peer then found[#found + 1] = peer else missing[#missing + 1] = maker[1] end
  end
  return found, missing
end

return contestants
