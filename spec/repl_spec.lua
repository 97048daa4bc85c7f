-- The interactive mode on a terminal.
local assert = require "luassert"
local folder = require "spec.support.folder"
local neap = require "neap"
local program = require "spec.support.program"
local terminal = require "spec.support.terminal"

if not terminal.is_possible then return pending "the interactive mode: there are no terminals here" end

local UP <const>, DOWN <const>, LEFT <const>, RIGHT <const> = "\27[A", "\27[B", "\27[D", "\27OC"
local HOME <const>, END <const>, DELETE <const> = "\27[H", "\27[F", "\27[3~"

-- An `it` with a session, whose prompt is there.
local function session(options, body)
  if not body then options, body = {}, options end
  return function()
    local t <close> = terminal.start(options)
    t:expect "\n>"
    body(t)
  end
end

local function ends(t, status)
  t:type "\4"
  assert.equal(status or 0, t:finish())
end

describe("a line", function()
  it("is run, and its values are printed", session(function(t)
    t:run("1 + 1", "2")
    t:run("=6 * 7, 'moon'", "42      moon")
    t:run("x = 5")
    t:run("return x", "5")
    t:run("nil", "nil")
    t:run("")
    t:type "x +\r"
    t:expect "> x +\n>>"
    t:type "1\r"
    t:expect ">> 1\n6\n>"
    ends(t)
    assert.truthy(t.output:find("Lua 5.4", 1, true))
  end))

  it("may await", session(function(t)
    t:run("neap = require 'neap'")
    t:run("neap.await(function() neap.sleep(0.001) return 'awake' end)", "awake")
    t:run("neap.run(function() return 'run' end)", "run")
  end))

  it("has neap as a global", session(function(t)
    assert.matches("the global 'neap'", t.output)
    t:run("neap.sleep(0.001, 'awake')", "awake")
    ends(t)
  end))

  it("has what a script calls neap", session({ "-e", "neap = 'tide'" , "-i" }, function(t)
    t:run("neap", "tide")
    ends(t)
  end))

  it("is told where its error was raised", session(function(t)
    t:run("function f() error 'wolf' return 1 end")
    t:run("f()", "stdin:1: wolf\nstack traceback:\n        [C]: in function 'error'\n"
      .. "        stdin:1: in function 'f'\n        (...tail calls...)\n        [C]: in ?")
    t:run("x = = 1", "stdin:1: unexpected symbol near '='")
    t:run("error {}", "(error object is a table value)")
    ends(t)
  end))

end)

-- What is typed, and the text that comes of it.
local EDITS <const> = {
  ["keys of the keyboard"] = {
    "bd" .. LEFT .. "c" .. HOME .. "a" .. END .. "e" .. LEFT .. LEFT .. RIGHT .. DELETE, "abcd",
  },
  ["control keys"] = { "bc\1a\5dx\2\4", "abcd" },
  ["taking out"] = { "abc\127\127x\8y", "ay" },
  ["words"] = { "one two three\27b\27bX\27f\27dY\27\127Z", "one Z" },
  ["cutting and pasting"] = { "one two\23\25 \25", "one two two" },
  ["cutting to the ends"] = { "onetwo\2\2\2\21\5 \11\25", "two one" },
  ["exchanging"] = { "ba\20c", "abc" },
  ["characters of several bytes"] = { "höß" .. LEFT .. "→\127" .. LEFT .. "\4o", "hoß" },
  ["keys with Alt, that do nothing or what they do without it"] = { "a\27öb\27\27[Dc\27\27[Cd", "acbd" },
  ["wide characters and marks"] = { "日本e\204\129x" .. LEFT .. LEFT .. "\127y", "日ye\204\129x" },
}

describe("a line is edited by", function()
  for name, case in pairs(EDITS) do
    it(name, session(function(t)
      t:type(case[1])
      t:expect("> " .. case[2])
    end))
  end

  it("nothing that is not a key", session(function(t)
    t:type "1\27[99~\27Oz\27[1;9Q\0\28\29 + \27Z 1\r"
    t:expect "> 1 +  1\n2\n>"
  end))

  it("a key that comes in parts, and holds up nobody meanwhile", session(function(t)
    t:run("neap = require 'neap'")
    t:run("later = function() for i = 1, 2 do neap.sleep(0.01) print(i) end end")
    t:type "later = neap.create_task(later) and nil\r"
    t:type "13\27"
    t:expect "1\n2\n> 13"
    t:type "["
    t:type "D2\195"
    t:expect "> 123"
    t:type "\164\127\r"
    t:expect "> 123\n123\n>"
  end))
end)

describe("a long line", function()
  it("of 10,000 bytes is run", session(function(t)
    t:type("#'" .. ("x"):rep(10000) .. "'\r")
    t:expect "x'\n10000\n>"
  end))

  it("is wrapped", session({ columns = 20 }, function(t)
    t:type "'01234567890123456789'"
    t:expect "> '01234567890123456\n789'"
    t:type(HOME .. "#")
    t:expect "> #'0123456789012345\n6789'"
    t:type "\r"
    t:expect "6789'\n20\n>"
  end))

  it("goes round with a window that changes", session(function(t)
    t:type "'0123456789'"
    t:expect "> '0123456789'"
    t:resize(10, 24)
    t:type "\r"
    t:expect "0123456789\n>"
  end))

  it("may be higher than the screen", session({ columns = 10, rows = 5 }, function(t)
    t:type("--" .. ("x"):rep(200) .. HOME)
    t:expect "> --xxxxxx\nxxxxxxxxxx\nxxxxxxxxxx\nxxxxxxxxxx"
    t:type(END .. "yz")
    t:expect "xxxxyz"
    t:type "\r"
    t:expect "\n>"
  end))
end)

describe("binary garbage", function()
  it("is an error, and no more", session(function(t)
    local bytes = {}
    for byte = 128, 255 do bytes[#bytes + 1] = string.char(byte) end
    t:type("\255\254\128\0" .. table.concat(bytes) .. "\237\160\128\r")
    t:read_until(function() return t.output:find("stdin:1: unexpected symbol near '<\\255>'", 1, true) end)
    t:expect "\n>"
    t:run("1", "1")
    t:type "'\255' == '\\255'\r"
    t:expect "\ntrue\n>"
  end))
end)

describe("several lines", function()
  it("are one text, and one entry of the history", session(function(t)
    t:type "for i = 1, 2 do\r"
    t:expect "> for i = 1, 2 do\n>>"
    t:type "print(i)\rend\r"
    t:expect ">> print(i)\n>> end\n1\n2\n>"
    t:type(UP)
    t:expect "> for i = 1, 2 do\n>> print(i)\n>> end"
    t:type(UP .. UP .. "\5" .. LEFT .. LEFT .. LEFT .. "\127" .. "3" .. "\r")
    t:expect "> for i = 1, 3 do\n>> print(i)\n>> end\n1\n2\n3\n>"
  end))

  it("may be pasted", session(function(t)
    t:type "\27[200~local x = 1\r\n\tprint(x)\27[201~"
    t:expect "> local x = 1\n>>     print(x)"
    t:type "\r"
    t:expect "print(x)\n1\n>"
  end))

  it("that come at once are run one by one", session(function(t)
    t:type "1\r2\r3\r"
    t:expect "> 1\n1\n> 2\n2\n> 3\n3\n>"
  end))

  it("have the prompts that the user sets", session(function(t)
    t:type "_PROMPT, _PROMPT2 = '\\27[1mneap\\27[m ', '.. '\r"
    t:expect "\nneap"
    t:type "(\r1\r)\r"
    t:expect "\nneap (\n.. 1\n.. )\n1\nneap"
  end))
end)

describe("the history", function()
  local function read(path)
    local file <close> = assert(io.open(path))
    return file:read "a"
end

  it("is kept from session to session", function()
    local dir <close> = folder.new()
    local path = dir.path .. "/deep/down/history"
    session({ history = path }, function(t)
      t:run("1", "1")
      t:run("1", "1")
      t:run("'a\\\\n'", "a\\n")
      t:type "(\r2)\r"
      t:expect "2\n>"
      ends(t)
    end)()
    assert.equal("1\n'a\\\\\\\\n'\n(\\n2)\n", read(path))
    session({ history = path }, function(t)
      t:type(UP)
      t:expect "> (\n>> 2)"
      t:type("\1" .. UP .. UP .. UP)
      t:expect "> 1"
      t:type(DOWN .. "\r")
      t:expect "a\\n\n>"
    end)()
  end)

  it("is the user's alone", function()
    local dir <close> = folder.new()
    session({ history = dir.path .. "/history" }, function(t) t:run("1", "1") end)()
    local pipe <close> = io.popen("stat -c %a " .. dir.path .. "/history")
    assert.equal("600\n", pipe:read "a")
  end)

  it("is in the folder for state", function()
    local dir <close> = folder.new()
    local t <close> = terminal.start { history = true, env = { "XDG_STATE_HOME=" .. dir.path } }
    t:expect "\n>"
    t:run("1", "1")
    assert.equal("1\n", read(dir.path .. "/neap/history"))
  end)

  it("does not grow without end", function()
    local dir <close> = folder.new()
    local path = dir.path .. "/history"
    local file = assert(io.open(path, "w"))
    for i = 1, 2500 do file:write(i, "\n") end
    file:close()
    session({ history = path }, function(t)
      t:type(UP)
      t:expect "> 2500"
    end)()
    local _, count = read(path):gsub("\n", "")
    assert.equal(1000, count)
  end)

  it("is where it is without NEAP_HISTORY, with -E", function()
    local dir <close> = folder.new()
    local t <close> = terminal.start { "-E", history = "/nowhere", env = { "XDG_STATE_HOME=" .. dir.path } }
    t:expect "\n>"
    t:type "1\r"
    t:expect "1\n>"
    ends(t)
    assert.is_true(pcall(read, dir.path .. "/neap/history"))
  end)

  it("that cannot be written is none", session({ history = "/dev/null/history" }, function(t)
    t:run("1", "1")
    ends(t)
  end))

  it("keeps the line that was begun", session(function(t)
    t:run("1", "1")
    t:type("23" .. UP)
    t:expect "> 1"
    t:type(DOWN .. "4")
    t:expect "> 234"
  end))

  it("is searched", session(function(t)
    t:run("'moon'", "moon")
    t:run("'wolf'", "wolf")
    t:run("'moonlight'", "moonlight")
    t:type "\18moo"
    t:expect "(reverse-search)`moo': 'moonlight'"
    t:type "\18"
    t:expect "(reverse-search)`moo': 'moon'"
    t:type "x"
    t:expect "(failed reverse-search)`moox': 'moon'"
    t:type "\127\18\r"
    t:expect "> 'moon'\nmoon\n>"
    t:type "7\18wolf\7"
    t:expect "> 7"
  end))
end)

describe("Tab", function()
  it("completes names", session(function(t)
    t:type "neap = require 'neap'; task = neap.create_task(function() return 1 end)\r"
    t:expect "\n>"
    t:type "neap.ti\t"
    t:expect "> neap.timeout"
    t:type "\21task:res\t()\r"
    t:expect "> task:result()\n1\n>"
    t:type "func\t"
    t:expect "> function"
    t:type "\21string.form\t"
    t:expect "> string.format"
    t:type "\21print(#tostri\t"
    t:expect "> print(#tostring"
    t:type "\21neap.signal.wa\t"
    t:expect "> neap.signal.wait"
    t:type "\21nothing.at.al\t"
    t:expect "> nothing.at.al"
  end))

  it("shows what there is to choose from", session(function(t)
    t:type "aa = {one = 1, once = 2, two = 3}\r"
    t:type "aa.o\t"
    t:expect "> aa.on"
    t:type "\t"
    t:expect "> aa.on\nonce  one\n> aa.on"
    t:type "e\r"
    t:expect "> aa.one\n1\n>"
  end))

  it("indents where there is nothing to complete", session(function(t)
    t:type "\t1\r"
    t:expect ">   1\n1\n>"
  end))

  it("calls nothing of the user's", session(function(t)
    t:type "trap = setmetatable({}, {__index = function() print 'called' end, __pairs = error})\r"
    t:expect "\n>"
    t:type "trap.a\ttrap:b.\t"
    t:expect "> trap.atrap:b."
  end))
end)

describe("Ctrl-C", function()
  it("at the prompt drops what was typed", session(function(t)
    t:type "moon\3"
    t:expect "> moon^C\n>"
    t:type "(\r1\3"
    t:expect "> (\n>> 1^C\n>"
    t:run("1", "1")
    ends(t)
  end))

  it("ends a chunk that waits", session(function(t)
    t:run("neap = require 'neap'")
    for _ = 1, 3 do
      t:type "neap.sleep(3600)\r"
      t:read_until(function() return t:is_cooked() end)
      t:type "\3"
      t:expect "^Cinterrupted!\n>"
    end
    t:run("neap.await(function() neap.sleep(0) return 1 end)", "1")
    ends(t)
  end))

  it("ends a chunk that never waits", session(function(t)
    for _ = 1, 2 do
      t:type "while true do end\r"
      t:read_until(function() return t:is_cooked() end)
      t:type "\3"
      t:expect "^Cinterrupted!\nstack traceback:\n        stdin:1: in main chunk\n        [C]: in ?\n>"
    end
    t:run("1", "1")
  end))

  it("leaves other tasks alone", session(function(t)
    t:run("neap = require 'neap'")
    t:run("other = neap.create_task(neap.sleep, 3600)")
    t:type "neap.sleep(3600)\r"
    t:read_until(function() return t:is_cooked() end)
    t:type "\3"
    t:expect "interrupted!\n>"
    t:run("other:done()", "false")
    t:type "os.exit(7)\r"
    assert.equal(7, t:finish())
  end))

  it("lets a chunk clean up", session(function(t)
    t:run("neap = require 'neap'")
    t:type "local c <close> = setmetatable({}, {__close = function() print 'clean' end}) neap.sleep(3600)\r"
    t:read_until(function() return t:is_cooked() end)
    t:type "\3"
    t:expect "^Cclean\ninterrupted!\n>"
  end))

  it("is the chunk's, if it listens", session(function(t)
    t:run("neap = require 'neap'")
    t:type "neap.signal.wait('SIGINT', 'SIGUSR1')\r"
    t:read_until(function() return t:catches(10) end)
    t:type "\3"
    t:expect "^CSIGINT\n>"
  end))

  it("ends the program at last, where nothing else helps", session(function(t)
    t:type "while true do pcall(function() while true do end end) end\r"
    t:read_until(function() return t:is_cooked() end)
    for _ = 1, 4 do
      t:type "\3"
      neap.sleep(0.05)
    end
    assert.equal(130, t:finish())
  end))
end)

describe("what others print while a line is typed", function()
  it("stands above it", session(function(t)
    t:run("neap = require 'neap'")
    t:type "neap.create_task(function() neap.signal.wait 'SIGUSR1' print 'one' io.stderr:write 'two\\n' end) and nil\r"
    t:read_until(function() return t:catches(10) end)
    t:type "abcd\2\2"
    t:expect "> abcd"
    t:signal "SIGUSR1"
    t:expect "nil\none\ntwo\n> abcd"
    t:type "\r"
    t:expect "> abcd\nnil\n>"
  end))
end)

describe("the terminal", function()
  it("is as before while a chunk runs", session(function(t)
    assert.is_false(t:is_cooked())
    t:type "io.read()\r"
    t:read_until(function() return t:is_cooked() end)
    t:type "moon\r"
    t:expect "moon\nmoon\n>"
  end))

  local ENDS <const> = {
    ["the end of input"] = { 0, "\4" },
    ["os.exit"] = { 3, "os.exit(3)\r" },
    ["os.exit of another task"] = { 4, "require 'neap'.create_task(os.exit, 4)\r" },
    ["an error of another task"] = { 1, "require 'neap'.create_task(error, 'wolf')\r\4" },
  }
  for name, case in pairs(ENDS) do
    it("is as before after " .. name, session(function(t)
      t:type(case[2])
      local cooked
      t:read_until(function()
        cooked = t:is_cooked()
        return cooked
      end)
      assert.equal(case[1], t:finish())
    end))
  end

  for name, status in pairs { SIGTERM = 143, SIGINT = 130 } do
    it("is as before after " .. name, session(function(t)
      t:signal(name)
      assert.equal(status, t:finish())
      assert.truthy(t.output:find "\27%[%?2004l[^>]*$")
    end))
  end

  it("that goes away ends the program", session(function(t)
    t:hang_up()
    program.wait_until(function() return t:has_ended() end)
  end))

  it("that goes away ends a program that ignores SIGHUP", function()
    local t <close> = terminal.start { env = { "sh", "-c", 'trap "" HUP; exec "$@"', "sh" } }
    t:expect ">"
    t:hang_up()
    program.wait_until(function() return t:has_ended() end)
  end)

  it("takes all that a chunk prints, however slowly", session(function(t)
    t:type "for _ = 1, 20000 do print 'moon' end\r"
    neap.sleep(0.1)
    t:expect "moon\n>"
    local _, count = t.output:gsub("moon\r?\n", "")
    assert.equal(20000, count)
  end))

  it("that is dumb, or not to be used so, has lines as they come", function()
    for _, setting in ipairs { "TERM=dumb", "NEAP_EDITOR=none" } do
      local t <close> = terminal.start { env = { setting } }
      t:expect "\n>"
      t:run("1 + 1", "2")
      assert.is_true(t:is_cooked())
      t:type "\4"
      assert.equal(0, t:finish())
    end
  end)
end)

it("output without a newline is not lost to the prompt", session(function(t)
  t:type "do io.write 'moon' end\r"
  t:expect "\nmoon%\n>"
end))
