-- Shows what is added to files, like `tail -f`: a task for each. The end of a file is not for ever: what was written
-- since is read by the next read. Without arguments it follows two files that it writes itself.
local neap = require "neap"

local INTERVAL <const> = 0.1

-- Calls show(line) for each line that is added, and begins anew where the file is made shorter.
local function follow(path, show)
  local file <close> = assert(neap.fs.open(path))
  file:seek "end"
  local begun = ""
  while true do
    local line = file:read "L"
    if not line then
      neap.sleep(INTERVAL)
      if file:stat().size < file:seek() then file:seek "set" end
    elseif line:sub(-1) == "\n" then
      show(begun .. line:sub(1, -2))
      begun = ""
    else
      begun = begun .. line -- its end is yet to come
    end
  end
end

local function follow_all(paths)
  local group <close> = neap.TaskGroup()
  for _, path in ipairs(paths) do
    group:create_task(follow, path, function(line) neap.stdout:write(path:match "[^/]*$", ": ", line, "\n") end)
  end
end

local function write(path, ...)
  local file <close> = assert(neap.fs.open(path, "a"))
  for _, piece in ipairs { ... } do
    assert(file:write(piece))
    neap.sleep(2 * INTERVAL)
  end
end

if arg[1] then return follow_all(arg) end

local folder = assert(neap.fs.mkdtemp "/tmp/tail-")
local paths = { folder .. "/first.log", folder .. "/second.log" }
for _, path in ipairs(paths) do assert(neap.fs.write_file(path, "old\n")) end

local following = neap.create_task(follow_all, paths)
neap.sleep(INTERVAL)
write(paths[1], "one\n", "two ", "halves\n")
write(paths[2], "three\n")
following:cancel()
pcall(following.await, following)
assert(neap.fs.remove(folder, { recursive = true }))

-- expect: first.log: one
-- expect: first.log: two halves
-- expect: second.log: three
