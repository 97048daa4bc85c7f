-- What is still running when the main function of neap.run returns is cancelled, and may clean up.
local neap = require "neap"

local cleaned_up = false
local cleanup = setmetatable({}, { __close = function() cleaned_up = true end })

neap.run(function()
  neap.create_task(function()
    local _ <close> = cleanup
    neap.sleep(1)
    print "never printed"
  end)
  print "Done!"
end)
print("cleaned up: " .. tostring(cleaned_up))

-- expect: Done!
-- expect: cleaned up: true
