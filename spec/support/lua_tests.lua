-- Lua's own tests under neap: neap lua_tests.lua FOLDER [FILE ...]
-- Each file is run four times. A script of neap must end as a script of lua5.4 does, and any other task as a
-- coroutine does; where one does not, the exit status is 1.

-- heavy.lua takes hours and all memory, main.lua is about the command `lua` with readline and its way with
-- Ctrl-C, all.lua runs the others, and these modules are what they use.
local LEFT_OUT <const> = { ["all"] = 1, ["main"] = 1, ["heavy"] = 1, ["bwcoercion"] = 1, ["tracegc"] = 1 }

-- What all.lua sets: no tests of one platform or of Lua's internals, and none that fill the memory.
local PRELUDE <const> = "_soft, _port, _nomsg = true, true, true function Message() end"

local COROUTINE <const> = "coroutine.wrap(assert(loadfile '%s'))()"
local TASK <const> = "require('neap').create_task(assert(loadfile '%s'))"

local function quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

local function lines_of(command)
  local pipe, lines = assert(io.popen(command)), {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  return lines, pipe:close()
end

-- Whether the folder has Lua's tests, as a checkout of its repository or as they are.
local function find_tests(folder)
  for _, path in ipairs { folder .. "/testes", folder } do
    local file = io.open(path .. "/all.lua")
    if file then return file:close() and path end
  end
end

local function names_of(folder)
  local names = {}
  for _, path in ipairs((lines_of("ls " .. quote(folder) .. "/*.lua"))) do
    local name = path:match "([^/]+)%.lua$"
    if not LEFT_OUT[name] then names[#names + 1] = name end
  end
  return names
end

-- Where they are run: the tests write files there.
local copy

-- How the interpreter ends with the file: "ok", or the place and the message of its error.
local function outcome(interpreter, name, code)
  local words = { "cd " .. copy .. " && timeout -s KILL 100", quote(interpreter), "-W -e", quote(PRELUDE) }
  table.insert(words, code and "-e " .. quote(code:format(name .. ".lua")) or name .. ".lua")
  table.insert(words, "2>&1 >/dev/null </dev/null")
  local lines, ok, how, status = lines_of(table.concat(words, " "))
  if ok then return "ok" end
  for _, line in ipairs(lines) do
    local message = line:match("%f[%w_/.-]" .. name .. "%.lua:%d+: .*")
    if message then return message end
  end
  return how .. " " .. status
end

local function compare(neap, name)
  local script, coroutine = outcome("lua5.4", name), outcome("lua5.4", name, COROUTINE)
  local main, task = outcome(neap, name), outcome(neap, name, TASK)
  local same = script == main and coroutine == task
  local function word(result) return result == "ok" and "ok" or "fails" end
  print(("%-12s %-8s %-10s %-8s %-8s%s"):format(name, word(script), word(coroutine), word(main), word(task),
    same and "" or " DIFFERS"))
  if not same then
    print("  lua5.4: " .. script, "  coroutine: " .. coroutine, "  neap: " .. main, "  task: " .. task)
  end
  return same
end

local neap = os.getenv "NEAP_BIN" or arg[-1]
if neap:find "^[^/]+/" then neap = os.getenv "PWD" .. "/" .. neap end
local folder = find_tests(arg[1])
if not folder then
  io.stderr:write(arg[1], " has no tests of Lua\n")
  os.exit(2)
end
local names = #arg > 1 and table.pack(table.unpack(arg, 2)) or names_of(folder)
copy = lines_of("mktemp -d")[1]
assert(os.execute(("cp -R %s/. %s"):format(quote(folder), copy)))
print(("%-12s %-8s %-10s %-8s %-8s"):format("", "lua5.4", "coroutine", "neap", "task"))
local differing = 0
for _, name in ipairs(names) do
  if not compare(neap, name) then differing = differing + 1 end
end
os.execute("rm -r " .. copy)
print(("%d of %d files end alike"):format(#names - differing, #names))
os.exit(differing == 0)
