-- The script itself is a task: any line of it may wait.
local neap = require "neap"

print "hello"
neap.sleep(1)
print "world"

-- expect: hello
-- expect: world
