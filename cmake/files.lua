-- Whole files, for the scripts in this folder.
local files = {}

function files.read(file)
  local input <close> = assert(io.open(file))
  return input:read "a"
end

function files.write(file, text)
  local output <close> = assert(io.open(file, "w"))
  assert(output:write(text))
end

return files
