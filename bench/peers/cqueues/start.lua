local loop = require("cqueues").new()

loop:wrap(function() end)
assert(loop:loop())
