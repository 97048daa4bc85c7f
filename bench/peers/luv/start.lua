local sched = require "sched"

sched.run(function() end)
