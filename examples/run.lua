-- neap.run runs one function in a loop of its own and returns what it returned; anything else is an argument error.
local neap = require "neap"

local function main(name)
  print "hello"
  neap.sleep(1)
  return name
end

print(neap.run(main, "world"))
print(pcall(function() neap.run(42) end))
print(pcall(function() neap.run() end))

-- expect: hello
-- expect: world
-- expect: false	examples/run.lua:11: bad argument #1 to 'run' (...)
-- expect: false	examples/run.lua:12: bad argument #1 to 'run' (...)
