-- A program that does nothing: what its process and its Lua state hold. It uses nothing of
-- neap, for `lua5.4` runs it too, as the floor.
local meter = require "meter"

collectgarbage()
collectgarbage()
meter.report("rest_malloc_kb", meter.malloc_bytes() / 1024)
meter.report("rest_private_kb", meter.private_bytes() / 1024)
meter.report("rest_rss_kb", meter.rss_bytes() / 1024)
