-- How large neap is: the library's file without symbols; and what a runtime has beside a Lua state with its
-- libraries: at rest, when the module is loaded, and as a thread of neap's.
local neap = require "neap"
local meter = require "meter"
local calls = require "size_calls"

local function report_kb(name, bytes) meter.report(name, bytes / 1024) end

local function file_bytes(path)
  local file <close> = assert(io.open(path))
  return file:seek("end")
end

local function report_library(path)
  local stripped = "build/bench/libneap_stripped.so"
  assert(os.execute(("strip -o %s '%s'"):format(stripped, path)))
  report_kb("size_library_kb", file_bytes(stripped))
  local pipe <close> = assert(io.popen(("size '%s'"):format(stripped)))
  pipe:read("l")
  report_kb("size_code_kb", pipe:read("n"))
end

local function report_thread(state)
  local begun, go_on = neap.Channel(), neap.Channel()
  local before = meter.malloc_bytes()
  local thread = neap.thread(function(tell, wait)
    collectgarbage()
    collectgarbage()
    tell:send(true)
    wait:receive()
  end, begun, go_on)
  begun:receive()
  report_kb("size_thread_kb", meter.malloc_bytes() - before - state)
  go_on:send(true)
  thread:join()
end

local bin = os.getenv("NEAP_BIN") or "build/release/neap"
report_library(bin:gsub("[^/]*$", "") .. "libneap.so")
calls.state_bytes()
calls.runtime_bytes("")
local state = calls.state_bytes()
report_kb("size_runtime_kb", calls.runtime_bytes("") - state)
report_kb("size_module_kb", calls.runtime_bytes("require 'neap'") - state)
report_thread(state)
