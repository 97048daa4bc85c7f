--- Lua's interactive mode in which each line may await; other tasks go on while it waits for input.
local core = require "neap.core"

-- What the user takes from the globals is not taken from here. `print` is the user's, as in `lua`.
local getmetatable, select, tostring, type = getmetatable, select, tostring, type
local load, pcall, xpcall, traceback = load, pcall, xpcall, debug.traceback
local io, globals <const> = io, _G

local STDIN <const> = 0

local function prompt(first)
  local text = first and globals._PROMPT or not first and globals._PROMPT2
  return text and tostring(text) or first and "> " or ">> "
end

--- A terminal hands over whole lines, so that once there is something to read a line can be read.
local function read_line(first)
  io.stdout:write(prompt(first))
  io.stdout:flush()
  core.wait_readable(STDIN)
  return io.stdin:read "l"
end

local function is_incomplete(message)
  return message:sub(-5) == "<eof>"
end

--- Reads lines until they are a chunk. Returns it, or nil and the message; nothing at the end of input.
--- As in `lua`, "=x" stands for "return x".
local function read_chunk()
  local code = read_line(true)
  if not code then return nil end
  code = code:gsub("^=", "return ", 1)
  local chunk = load("return " .. code, "=stdin", "t")
  if chunk then return chunk end
  while true do
    local message
    chunk, message = load(code, "=stdin", "t")
    if chunk or not is_incomplete(message) then return chunk, message end
    local line = read_line(false)
    if not line then return nil, message end
    code = code .. "\n" .. line
  end
end

local function complain(message)
  io.stdout:flush()
  io.stderr:write(tostring(message), "\n")
end

local function with_traceback(err)
  local meta = getmetatable(err)
  if type(err) ~= "string" then
    if type(meta) == "table" and meta.__tostring then return err end
    return ("(error object is a %s value)"):format(type(err))
  end
  return traceback(err, 2)
end

local function print_results(ok, ...)
  if not ok then
    complain((...))
  elseif select("#", ...) > 0 then
    local printed, err = pcall(print, ...)
    if not printed then complain(("error calling 'print' (%s)"):format(err)) end
  end
end

return function()
  while true do
    local chunk, message = read_chunk()
    if chunk then
      print_results(xpcall(chunk, with_traceback))
    elseif message then
      complain(message)
    else
      break
    end
  end
  io.stdout:write "\n"
end
