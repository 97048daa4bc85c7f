-- Descriptors of others, threads, and what wakes the loop.
local cell = require "spec.faults.system.cell"
local core = require "neap.core"
local neap = require "neap"

local ok <const> = cell.ok
local sysfaults <const> = cell.sysfaults

-- What libuv 1.44 makes first for a loop: if it fails, it leaves the descriptor of epoll open.
local OF_LOOPS <const> = { eventfd = true, pipe = true }

-- A thread that could not be made.
local NO_THREAD <const> = { "cannot start a thread: ", "^Thread%-%d+: not enough memory$" }

local Pipe = {}
Pipe.__index = Pipe

function Pipe:__close()
  sysfaults.close(self[1])
  if self[2] then sysfaults.close(self[2]) end
end

function Pipe:end_writing()
  sysfaults.close(self[2])
  self[2] = nil
end

local function pipe()
  return setmetatable({ sysfaults.pipe() }, Pipe)
end

return {
  { name = "core: wait_readable", nameless = true, run = function()
    local ends <close> = pipe()
    local waiter = neap.create_task(function() return ok(core.wait_readable(ends[1])) end)
    neap.sleep(0)
    ends:end_writing()
    waiter:await()
  end },

  { name = "core: add_reader, add_writer", nameless = true, run = function()
    local ends <close> = pipe()
    local loop, done = neap.get_running_loop(), neap.Future()
    ok(loop:add_reader(ends[1], function()
      loop:remove_reader(ends[1])
      done:set_result(true)
    end))
    local _ <close> = setmetatable({}, { __close = function() loop:remove_reader(ends[1]) end })
    ok(loop:add_writer(ends[2], function()
      loop:remove_writer(ends[2])
      ends:end_writing()
    end))
    done:await()
  end },

  -- libuv ends the process when it cannot give a signal back.
  { name = "core: signals", nameless = true, most = { sigaction = 1 }, real = true, run = function()
      local signal <const> = neap.signal
      local listener <close> = ok(signal.listen("SIGHUP", "SIGUSR1"))
      ok(signal.send(sysfaults.pid(), "SIGHUP"))
      assert(listener:next() == "SIGHUP")
    end },

  { name = "core: a thread", real = true, skip = OF_LOOPS, raises = NO_THREAD, run = function()
    local thread = neap.thread(function(a, b)
      require("neap").sleep(0.001)
      return a + b
    end, 1, 2)
    assert(thread:join() == 3)
  end },

  { name = "core: calls from a thread", real = true, skip = OF_LOOPS, raises = NO_THREAD, run = function()
    local thread = neap.thread(function()
      local parent = require("neap").parent_thread()
      return parent:run_coroutine_threadsafe(function() return "from the parent" end):await()
    end)
    assert(thread:join() == "from the parent")
  end },
}
