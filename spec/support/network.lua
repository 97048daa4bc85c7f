-- Runs programs of neap on a network that behaves as a spec asks: see network.c.
local program = require "spec.support.program"

local network = {}

-- Runs Lua code with these environment variables. Returns nothing where there is no C compiler.
function network.run(settings, code)
  local library = os.tmpname()
  local built = os.execute(("cc -shared -fPIC -o %s spec/support/network.c -ldl 2>/dev/null"):format(library))
  if not built then return os.remove(library) and nil end
  local words = { "env", "LD_PRELOAD=" .. library }
  for name, value in pairs(settings) do words[#words + 1] = name .. "=" .. value end
  table.move({ program.neap, "-e", code }, 1, 3, #words + 1, words)
  local result = program.run(words)
  os.remove(library)
  return result
end

return network
