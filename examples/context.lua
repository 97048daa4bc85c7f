-- Each request has an id. What is called for it, and the tasks it makes, see that id without being passed it.
local neap = require "neap"

local request_id = neap.ContextVar("request_id", "-")

local function log(text)
  print(("[%s] %s"):format(request_id:get(), text))
end

local function query(seconds)
  neap.sleep(seconds)
  log(("answered after %d s"):format(seconds))
end

local function handle(id, seconds)
  request_id:set(id)
  log "begins"
  neap.gather(function() query(seconds) end, function() query(seconds + 2) end)
  log "ends"
end

do
  local requests <close> = neap.TaskGroup()
  requests:create_task(handle, "a1", 1)
  requests:create_task(handle, "b2", 2)
end
log "all are done"

-- expect: [a1] begins
-- expect: [b2] begins
-- expect: [a1] answered after 1 s
-- expect: [b2] answered after 2 s
-- expect: [a1] answered after 3 s
-- expect: [a1] ends
-- expect: [b2] answered after 4 s
-- expect: [b2] ends
-- expect: [-] all are done
