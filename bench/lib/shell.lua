-- Commands of the shell.
local shell = {}

function shell.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Does `command` succeed? What it prints is thrown away.
function shell.ok(command)
  return os.execute(("{ %s; } >/dev/null 2>&1"):format(command)) == true
end

-- The first line that `command` prints, or nil if it fails.
function shell.output(command)
  local pipe <close> = assert(io.popen(("{ %s; } 2>/dev/null"):format(command)))
  local line = pipe:read("l")
  return pipe:close() and line or nil
end

return shell
