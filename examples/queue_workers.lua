-- One producer and three workers over a queue of two. Who is too fast waits: the producer for room, a worker for work.
-- `join` waits until all of it is done; `shutdown` then tells the workers to go home.
local neap = require "neap"

local loop = neap.get_running_loop()
local start = loop:time()
local orders = neap.Queue(2)

local function report(what) print(("%2.0f s: %s"):format(loop:time() - start, what)) end

-- Takes orders until the queue is shut down, which `get` raises.
local function work(name)
  while true do
    local ok, dish = pcall(orders.get, orders)
    if neap.is(dish, neap.QueueShutDown) then return report(name .. " goes home") end
    assert(ok, dish)
    neap.sleep(#dish)
    report(name .. " made " .. dish)
    orders:task_done()
  end
end

do
  local kitchen <close> = neap.TaskGroup()
  for _, name in ipairs { "Ann", "Bob", "Cleo" } do kitchen:create_task(work, name) end
  for _, dish in ipairs { "soup", "pancakes", "toast", "tea", "curry", "pie", "salad" } do
    orders:put(dish)
    report("ordered " .. dish)
  end
  orders:join()
  report "all is served"
  orders:shutdown()
end
report "the kitchen is closed"

-- expect:  0 s: ordered soup
-- expect:  0 s: ordered pancakes
-- expect:  0 s: ordered toast
-- expect:  0 s: ordered tea
-- expect:  0 s: ordered curry
-- expect:  4 s: Ann made soup
-- expect:  4 s: ordered pie
-- expect:  5 s: Cleo made toast
-- expect:  5 s: ordered salad
-- expect:  7 s: Ann made tea
-- expect:  8 s: Bob made pancakes
-- expect: 10 s: Cleo made curry
-- expect: 10 s: Ann made pie
-- expect: 13 s: Bob made salad
-- expect: 13 s: all is served
-- expect: 13 s: Cleo goes home
-- expect: 13 s: Ann goes home
-- expect: 13 s: Bob goes home
-- expect: 13 s: the kitchen is closed
