-- Copies a file through two streams, and counts other things meanwhile. Not more than two blocks of it are in memory at
-- any time, however large it is.
local neap = require "neap"

local function copy(source, target)
  local from <close> = assert(neap.fs.open(source))
  local to <close> = assert(neap.fs.open(target, "w"))
  local total = 0
  for chunk in from:lines(65536) do
    assert(to:write(chunk))
    total = total + #chunk
  end
  assert(to:sync())
  return total
end

local source, target = arg[1], arg[2]
if not source then -- nothing to copy: makes something
  source, target = os.tmpname(), os.tmpname()
  assert(neap.fs.write_file(source, ("all work and no play\n"):rep(100000)))
end

local ticks = 0
local ticker = neap.create_task(function()
  while true do
    neap.sleep(0)
    ticks = ticks + 1
  end
end)
print(copy(source, target) .. " bytes")
ticker:cancel()
print(ticks > 0 and "others ran meanwhile" or "nobody else ran")

if not arg[1] then
  print(neap.fs.read_file(source) == neap.fs.read_file(target) and "equal" or "different")
  os.remove(source)
  os.remove(target)
end

-- expect: 2100000 bytes
-- expect: others ran meanwhile
-- expect: equal
