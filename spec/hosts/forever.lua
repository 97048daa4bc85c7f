-- What scripts of spec/hosts/cut do again and again, in a task that the host counts.
local neap = require "neap"

return function(fn)
  neap.create_task(function()
    local _ <close> = guard()
    while true do
      fn()
      neap.sleep(0)
    end
  end)
end
