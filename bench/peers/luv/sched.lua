-- A small scheduler on luv, as one would write it by hand: coroutines, a queue of the ready
-- ones, a uv timer for each sleep. Runs in Lua 5.1 (LuaJIT) and 5.4.
local uv = require "luv"

local sched = {}

-- A turn that leaves ready work behind asks the kernel only this often.
local turns_per_poll = 16

local ready, ready_count = {}, 0
local current

local function wake(task)
  ready_count = ready_count + 1
  ready[ready_count] = task
end

local function step(task)
  current = task
  local ok, result = coroutine.resume(task.co, task.arg)
  if coroutine.status(task.co) == "suspended" then return end
  if not ok and not task.cancelled then error(debug.traceback(task.co, result), 0) end
  task.done = true
  if task.awaiter then wake(task.awaiter) end
end

local function run_ready()
  local batch, count = ready, ready_count
  ready, ready_count = {}, 0
  for i = 1, count do step(batch[i]) end
end

-- Suspends the current task until something wakes it; raises if that was a cancel.
local function park()
  coroutine.yield()
  if current.cancelled then error("cancelled", 0) end
end

function sched.create_task(fn, arg)
  local task = {co = coroutine.create(fn), arg = arg}
  wake(task)
  return task
end

function sched.await(task)
  if task.done then return end
  task.awaiter = current
  park()
end

function sched.sleep(s)
  local task = current
  if s <= 0 then
    wake(task)
  else
    local timer = uv.new_timer()
    task.timer = timer
    timer:start(math.ceil(s * 1000), 0, function()
      task.timer = nil
      timer:close()
      wake(task)
    end)
  end
  park()
end

function sched.cancel(task)
  task.cancelled = true
  if task.timer then
    task.timer:close()
    task.timer = nil
    wake(task)
  end
end

-- A queue of at most `capacity` items between one producer and one consumer.
function sched.queue(capacity)
  return {capacity = capacity, first = 0, count = 0}
end

local function wake_waiting(queue)
  local task = queue.waiting
  queue.waiting = nil
  if task then wake(task) end
end

function sched.put(queue, item)
  while queue.count == queue.capacity do
    queue.waiting = current
    park()
  end
  queue[(queue.first + queue.count) % queue.capacity] = item
  queue.count = queue.count + 1
  wake_waiting(queue)
end

function sched.get(queue)
  while queue.count == 0 do
    queue.waiting = current
    park()
  end
  local item = queue[queue.first]
  queue.first = (queue.first + 1) % queue.capacity
  queue.count = queue.count - 1
  wake_waiting(queue)
  return item
end

-- Serves TCP on a free port of 127.0.0.1, a task for each connection; returns the port.
function sched.serve(handler)
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(128, function(err)
    assert(not err, err)
    local conn = uv.new_tcp()
    server:accept(conn)
    conn:nodelay(true)
    sched.create_task(handler, conn)
  end))
  return server:getsockname().port
end

-- Starts to read; each call of the function returned gives a chunk, nil at the end.
function sched.reader(conn)
  local chunks, first, last, ended, waiting = {}, 1, 0, false, nil
  conn:read_start(function(err, chunk)
    if err or not chunk then
      ended = true
    else
      last = last + 1
      chunks[last] = chunk
    end
    if waiting then wake(waiting) end
    waiting = nil
  end)
  return function()
    while first > last and not ended do
      waiting = current
      park()
    end
    if first > last then return nil end
    local chunk = chunks[first]
    chunks[first] = nil
    first = first + 1
    return chunk
  end
end

-- Writes at once what the socket takes, and waits until the rest is written.
function sched.write(conn, bytes)
  local written = conn:try_write(bytes) or 0
  if written == #bytes then return true end
  local task, failure = current, nil
  conn:write(bytes:sub(written + 1), function(err)
    failure = err
    wake(task)
  end)
  park()
  return not failure, failure
end

-- Runs main() as a task until it ends.
function sched.run(main)
  local task = sched.create_task(main)
  local turn = 0
  while not task.done do
    run_ready()
    turn = turn + 1
    if task.done then break end
    if ready_count == 0 then
      uv.run("once")
    elseif turn % turns_per_poll == 0 then
      uv.run("nowait")
    end
  end
  uv.run("nowait") -- what was closed last; luv crashes if it is still closing at exit
end

return sched
