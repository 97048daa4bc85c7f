-- Looking inside: who waits where, who waits for whom, and what a deadlock says.
local neap = require "neap"

local function fetch(seconds)
  neap.sleep(seconds)
  return "news"
end

local function report(source)
  print(source:await())
end

local source = neap.create_task(function() return (fetch(5)) end)
source:set_name "source"
neap.create_task(report, source):set_name "report"
neap.sleep(1)
neap.print_call_graph(source, io.stdout)

for _, row in ipairs(neap.task_table()) do
  print(row.name, row.waits_in or "-", row.awaiter and row.awaiter:get_name() or "-")
end

local hen, egg
hen = neap.create_task(function() neap.sleep(0) egg:await() end)
egg = neap.create_task(function() hen:await() end)
hen:set_name "hen"
egg:set_name "egg"
print(select(2, pcall(egg.await, egg)))
egg:cancel()

-- expect: * source waits in sleep
-- expect:   examples/inspect.lua:5 in fetch
-- expect:   examples/inspect.lua:13
-- expect:   awaited by
-- expect:     * report waits in await
-- expect:       examples/inspect.lua:10
-- expect: Task-1	-	-
-- expect: source	sleep	report
-- expect: report	await	-
-- expect: news
-- expect: deadlock: nothing can wake the waiting tasks any more:
-- expect: 	Task-1 waits in await at examples/inspect.lua:28 for egg
-- expect: 	hen waits in await at examples/inspect.lua:24 for egg
-- expect: 	egg waits in await at examples/inspect.lua:25 for hen
-- expect: 	a circle: hen -> egg -> hen
