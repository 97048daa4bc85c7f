--- Lua's interactive mode in which each line may await; other tasks go on while it waits for input. On a terminal its
--- lines are edited, by neap.editor; otherwise, or where NEAP_EDITOR is "none", they are read as they come.
local core = require "neap.core"
local editor <const> = require "neap.editor"
local history <const> = require "neap.history"
local completion <const> = require "neap.completion"
local interrupt <const> = require "neap.interrupt"
local terminal <const> = require "neap.terminal"

-- What the user takes from the globals is not taken from here. `print` is the user's, as in `lua`.
local getmetatable, select, tostring, type = getmetatable, select, tostring, type
local load, pcall, xpcall, debug, traceback = load, pcall, xpcall, debug, debug.traceback
local concat, getenv, max, setmetatable = table.concat, os.getenv, math.max, setmetatable
local io, package, require, rawget, rawset, globals <const> = io, package, require, rawget, rawset, _G

local STDIN <const> = 0

--- What the environment sets, unless option -E forbids to ask.
local function setting(name)
  return not debug.getregistry().LUA_NOENV and getenv(name) or nil
end

local function prompt(first)
  local text = first and globals._PROMPT or not first and globals._PROMPT2
  return text and tostring(text) or first and "> " or ">> "
end

-- --- chunks ---

local function is_incomplete(message)
  return message:sub(-5) == "<eof>"
end

--- As in `lua`, "=x" stands for "return x", and an expression for itself. Returns the chunk, or nil and the message.
local function compile(code)
  code = code:gsub("^=", "return ", 1)
  local chunk = load("return " .. code, "=stdin", "t")
  if chunk then return chunk end
  return load(code, "=stdin", "t")
end

local function is_complete(code)
  local chunk, message = compile(code)
  return chunk ~= nil or not is_incomplete(message)
end

--- Also where only an expression goes on: "1 +".
local function may_end(code)
  local _, message = load("return " .. code, "=stdin", "t")
  return is_complete(code) and not (message and is_incomplete(message) and not compile(code))
end

-- --- lines as they come ---

local plain = {}

--- A terminal hands over whole lines, so that once there is something to read a line can be read.
function plain.read_line(first)
  io.stdout:write(prompt(first))
  io.stdout:flush()
  core.wait_readable(STDIN)
  return io.stdin:read "l"
end

--- Reads lines until they are a chunk; nil at the end of input.
function plain.read()
  local code = plain.read_line(true)
  while code and not is_complete(code) do
    local line = plain.read_line(false)
    if not line then break end
    code = code .. "\n" .. line
  end
  return code
end

-- --- lines that are edited ---

local edited = {}

function edited.show(line)
  local columns, rows = terminal.size()
  terminal.show(line:draw(prompt(true), prompt(false), columns, max(rows - 1, 1)))
end

--- The words in columns, one below the other.
local function in_columns(words, width)
  local widest = 0
  for i = 1, #words do widest = max(widest, #words[i] + 2) end
  local count = max(1, width // widest)
  local rows, lines = (#words + count - 1) // count, {}
  for row = 1, rows do
    local line = {}
    for i = row, #words, rows do line[#line + 1] = words[i] .. (" "):rep(widest - #words[i]) end
    lines[row] = concat(line):gsub(" +$", "")
  end
  return concat(lines, "\r\n")
end

--- Leaves the line on the screen as it is, the cursor behind it.
local function leave(line, mark)
  line.at = #line.text
  line.search = nil
  edited.show(line)
  terminal.write((mark or "") .. "\r\n")
  terminal.leave()
end

local acts = {}

function acts.accept(line)
  leave(line)
  return true, line.text
end

acts["end"] = function(line)
  leave(line)
  return true, nil
end

function acts.interrupt(line)
  leave(line, "^C")
  line:start()
  return not terminal.edit()
end

function acts.suspend(line)
  local at = line.at
  leave(line)
  terminal.suspend()
  line.at = at
  return not terminal.edit()
end

function acts.clear()
  terminal.write "\27[H\27[2J"
end

function acts.choose(line, words)
  local at = line.at
  line.at = #line.text
  edited.show(line)
  terminal.write("\r\n" .. in_columns(words, (terminal.size())) .. "\r\n")
  line.at = at
end

--- Begins a new row of the screen, unless what was printed last has ended its own: then a mark shows that it has not.
local function start_row()
  local columns = terminal.size()
  terminal.write("\27[7m%\27[m" .. (" "):rep(columns - 1) .. "\r \r")
end

local BRACKETED_PASTE <const>, PLAIN_PASTE <const> = "\27[?2004h", "\27[?2004l"

--- Edits a text until Enter ends it. Returns it; nil at the end of input.
function edited.read(line)
  if not terminal.edit() then return nil end
  local restored <close> = setmetatable({}, { __close = function()
    terminal.write(PLAIN_PASTE)
    terminal.leave()
  end })
  start_row()
  terminal.write(BRACKETED_PASTE)
  line:start()
  local bytes = ""
  while bytes do
    local act, value = line:feed(bytes)
    if act then
      local done, text = acts[act](line, value)
      if done then return text end
      bytes = ""
    else
      edited.show(line)
      core.wait_readable(STDIN)
      bytes = terminal.read()
    end
  end
  leave(line)
end

local function start_editing()
  local path = history.path(setting "NEAP_HISTORY")
  local texts, long = {}, false
  if path then texts, long = history.read(path) end
  if long then terminal.save(path, history.whole(texts), true) end
  local neap = package.loaded.neap
  local line = editor {
    history = texts,
    is_complete = may_end,
    complete = function(text, at) return completion(globals, package.loaded.neap or neap, text, at) end,
  }
  return function()
    local text = edited.read(line)
    if text and line:remember(text) and path then terminal.save(path, history.line(text)) end
    return text
  end
end

-- --- running ---

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
  return (traceback(err, 2):gsub("\n\t%[C%]: in function 'xpcall'\n\tlua/neap/repl.lua.*", "\n\t[C]: in ?"))
end

local function print_results(ok, ...)
  if not ok then
    complain((...))
  elseif select("#", ...) > 0 then
    local printed, err = pcall(print, ...)
    if not printed then complain(("error calling 'print' (%s)"):format(err)) end
  end
end

--- What the user's Ctrl-C has cancelled goes on with the next chunk.
local function finish(ok, ...)
  local task, cancelled = core.current_task(), interrupt.finish()
  for _ = 1, cancelled do task:uncancel() end
  if not ok and cancelled > 0 and core.is((...), core.CancelledError) then return complain "interrupted!" end
  print_results(ok, ...)
end

local function run(chunk)
  interrupt.begin()
  finish(xpcall(chunk, with_traceback))
end

--- As in asyncio's interactive mode, unless the user has something of that name.
local function provide_neap()
  if rawget(globals, "neap") ~= nil then return false end
  rawset(globals, "neap", require "neap")
  return true
end

return function()
  local edits = setting "NEAP_EDITOR" ~= "none" and terminal.open()
  local provided = provide_neap()
  if edits and provided then
    io.stdout:write("neap ", globals.neap._VERSION, ": lines may await; the module is the global 'neap'\n")
  end
  local read = edits and start_editing() or plain.read
  for code in read do
    local chunk, message = compile(code)
    if chunk then
      run(chunk)
    else
      complain(message)
    end
  end
  if not edits then io.stdout:write "\n" end
end
