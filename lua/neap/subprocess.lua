--- Child processes. `run` is for one that is to end by itself, and gives what it has written; `exec` is for one to talk
--- with, or to watch.
---
--- ```lua
--- local result = assert(neap.subprocess.run{"git", "status", check = true, timeout = 10})
--- print(result.stdout)
---
--- local process <close> = assert(neap.subprocess.exec{"tail", "-F", "log", stdout = "pipe"})
--- for line in process.stdout:lines() do print(line) end
--- ```
---
--- A process of a group of its own (`group`, `detached`) hears no Ctrl-C of the terminal; the end of the block ends it.
--- It goes on if neap is killed, or ended at once by a second Ctrl-C.
-- They are started and signalled in C (src/process/process.c); what is as good in Lua is here.
local core = require "neap.core"
local check = require "neap.check"
local TaskGroup <const> = require("neap").TaskGroup

local M = {}

--- What `run{check = true}` returns: it has `returncode`, `stdout`, `stderr`, `args`.
---@class neap.ProcessError: neap.Error
---@field returncode integer
---@field stdout string?
---@field stderr string?
---@field args string[]

M.ProcessError = core.error_kind "ProcessError"

--- A child process. A `<close>` value: it is ended, and waited for. One that is collected while it runs is ended, too,
--- unless it was started as `detached`.
---@class neap.Process
---@field pid integer
---@field args string[] as they were given
---@field stdin neap.Stream? for writing, where it is a pipe; `shutdown` waits until the child has taken all
---@field stdout neap.Stream? for reading, where it is a pipe
---@field stderr neap.Stream? for reading, where it is a pipe
---@field returncode integer? the exit status, or minus the number of the signal that ended it; nil while it runs
---@field wait fun(self): integer waits for its end, not for that of its pipes; returns `returncode`
---@field send_signal fun(self, signal: string|integer): true?, neap.OSError?, string? "ESRCH": it has ended
---@field terminate fun(self): true?, neap.OSError?, string? sends SIGTERM
---@field kill fun(self): true?, neap.OSError?, string? sends SIGKILL
local Process = core.Process

local PIPES <const>, OUTPUTS <const> = { "stdin", "stdout", "stderr" }, { "stderr", "stdout" }

local function check_process(call, process)
  if getmetatable(process) ~= Process then check.bad_argument(call, 1, "neap.Process", process) end
end

-- --- both ends of its pipes at once ---

--- What a child does not want to read is no failure. Who kills the task that waits here closes the pipes.
local function feed(stdin, input)
  if stdin:is_closing() then return true end
  stdin:set_write_limits(0)
  local sent, err, code = stdin:write(input)
  stdin:close()
  if sent or code == "EPIPE" then return true end
  return nil, err, code
end

local function overrun(most)
  return nil, core.LimitOverrunError(("communicate: the output is longer than %d bytes"):format(most))
end

--- Adds to the list `pieces` what comes until the end. Goes on where it was cancelled.
local function drain(stream, pieces, most)
  local size = 0
  for _, piece in ipairs(pieces) do size = size + #piece end
  while not stream:is_closing() do
    local piece, err, code = stream:read_some()
    if err then return nil, err, code end
    if not piece then stream:close() break end
    size = size + #piece
    if size > most then return overrun(most) end
    pieces[#pieces + 1] = piece
  end
  return true
end

--- The calls that are to run at the same time, each a list of a function and its arguments. The last needs no task of
--- its own: it is the one that the child may wait for.
local function list_transfers(process, input, pieces, most)
  local transfers = {}
  for _, name in ipairs(OUTPUTS) do
    if process[name] then transfers[#transfers + 1] = { drain, process[name], pieces[name], most } end
  end
  if input then
    transfers[#transfers + 1] = { feed, process.stdin, input }
  elseif process.stdin then
    process.stdin:close()
  end
  return transfers
end

--- Keeps the first failure, which ends the others; so does an error, also where there is no memory to tell the group.
local function transfer(failure, group, call, ...)
  local ran, done, err, code = pcall(call, ...)
  if ran and done then
    failure.left = failure.left - 1
  elseif not ran then
    if group and not core.is(done, core.CancelledError) then group:cancel() end
    error(done, 0)
  elseif not failure.err then
    failure.err, failure.code = err, code
    if group then group:cancel() end
  end
end

local function transfer_all(transfers, failure)
  local last <const> = table.remove(transfers)
  if not last then return end
  if #transfers == 0 then return transfer(failure, nil, table.unpack(last, 1, 4)) end
  local group <close> = TaskGroup()
  for _, one in ipairs(transfers) do group:create_task(transfer, failure, group, table.unpack(one, 1, 4)) end
  transfer(failure, group, table.unpack(last, 1, 4))
end

--- A failure of one has cancelled the others: that is not for the caller to be told.
local function transfer_or_fail(transfers, failure)
  local ran, raised = pcall(transfer_all, transfers, failure)
  local cancelled_here = failure.err and core.is(raised, core.CancelledError) and not core.is_cancelled()
  if not ran and not cancelled_here then error(raised, 0) end
end

--- Fills the lists of `pieces` even where it is cancelled. When a cancel is taken back that the group has passed on,
--- what is left goes on.
local function communicate(process, input, most, pieces)
  local failure = {}
  repeat
    local transfers = list_transfers(process, input, pieces, most or math.huge)
    failure.left = #transfers
    transfer_or_fail(transfers, failure)
    input = nil
  until failure.err or failure.left == 0
  if failure.err then return nil, failure.err, failure.code end
  process:wait()
  return true
end

local function new_pieces()
  return { stdout = {}, stderr = {} }
end

local function check_input(call, index, input)
  if input ~= nil and type(input) ~= "string" then check.bad_argument(call, index, "string", input) end
end

--- Writes `input` to its standard input, which is then closed, reads its output to the end, and waits for its end: all
--- at once, so that no full pipe can hold anybody up. A child that does not read all of the input is no failure;
--- output of more than `max_output` bytes, of stdout or of stderr, is one. When this is cancelled, the process runs on.
---@param input string?
---@param max_output integer?
---@return string? stdout "" where that is no pipe
---@return string|neap.Error stderr
---@return string? code
function Process:communicate(input, max_output)
  check_process("communicate", self)
  check_input("communicate", 1, input)
  check.count("communicate", 2, max_output, 0)
  if input and not self.stdin then core.misuse "communicate: the standard input of the process is no pipe" end
  if input and self.stdin:is_closing() then core.misuse "communicate: the standard input of the process is closed" end
  core.check_awaiting "communicate"
  local pieces = new_pieces()
  local done, err, code = communicate(self, input, max_output, pieces)
  if not done then return nil, err, code end
  return table.concat(pieces.stdout), table.concat(pieces.stderr)
end

-- --- its end ---

--- Whether somebody may hold the other end of a pipe that is read.
local function is_held(process)
  for _, name in ipairs(OUTPUTS) do
    local stream = process[name]
    if stream and not stream:is_closing() and not stream:at_eof() then return true end
  end
  return false
end

--- Closes its pipes when it has ended, or cannot be waited for.
local pipes <const> = { __close = function(guard)
  for _, name in ipairs(PIPES) do
    local stream = guard.process[name]
    if stream then stream:abort() end
  end
end }

--- Ends the process, if it runs, and waits for that: closes its input and sends SIGTERM; and SIGKILL when it has not
--- ended after its `grace` (5 seconds). What it leaves of its group is killed. Then its output is closed, which nobody
--- needs to read until then. This is what the end of a block does.
---@return integer returncode
function Process:close()
  check_process("close", self)
  local held <const> = is_held(self)
  if self.stdin then self.stdin:abort() end
  core.process_end(self, held)
  local _ <close> = setmetatable({ process = self }, pipes)
  if self.returncode then return self.returncode end
  local shield <close> = core.shielded()
  return self:wait()
end

Process.__close = Process.close

-- --- starting ---

---@class neap.ProcessOptions
---@field [integer] string|number the program and its arguments
---@field stdin neap.Stdio? ("inherit")
---@field stdout neap.Stdio? ("inherit")
---@field stderr neap.Stdio|"stdout"? "stdout": where that goes ("inherit")
---@field cwd string? the directory it starts in
---@field env table<string, string|number|false>? added to the environment; false takes a variable away
---@field clear_env boolean? only what is in `env` (false)
---@field uid integer?
---@field gid integer?
---@field group boolean? it leads a session and process group of its own, and signals go to all of that
---@field grace number? seconds from SIGTERM to SIGKILL when it is closed (5)
---@field detached boolean? in a session of its own; it may outlive its Process, and neap (false)
---@field limit integer? bytes of a line that is read from it (65536)

--- A pipe, the null device, what neap itself has, a descriptor, a stream (which then is the child's: do not use it any
--- more), or a file. The mode is "r" (of stdin), "w" (of the others) or "a".
---@alias neap.Stdio "pipe"|"null"|"inherit"|integer|neap.Stream|{ path: string, mode: "r"|"w"|"a"|nil }

--- Starts a program, which is looked for in PATH.
---@param options neap.ProcessOptions
---@return neap.Process?
---@return neap.OSError?
---@return string? code
function M.exec(options)
  return core.spawn("exec", options, "inherit", "inherit", "inherit")
end

--- Starts a command of the shell (/bin/sh). Further arguments are its $1, $2 and so on. It leads a `group` of its own
--- unless it inherits standard input.
---@param options neap.ProcessOptions
---@return neap.Process?
---@return neap.OSError?
---@return string? code
function M.shell(options)
  return core.spawn("shell", options, "inherit", "inherit", "inherit")
end

-- --- running to the end ---

---@class neap.RunOptions: neap.ProcessOptions
---@field shell boolean? it is a command of the shell, as for `shell` (false)
---@field input string? what it reads; without it, nothing
---@field capture boolean? its output is in the result; false: it inherits neap's (true)
---@field timeout number? seconds
---@field check boolean? an exit status other than 0 is a failure (false)
---@field max_output integer? bytes; longer output of stdout, or of stderr, is a failure

---@class neap.RunResult
---@field returncode integer the exit status, or minus the number of the signal that ended it
---@field stdout string?
---@field stderr string?
---@field args string[]

local function check_run(options)
  if options.input ~= nil and type(options.input) ~= "string" then
    core.misuse "bad argument #1 to 'run' (the option 'input' is not a string)"
  elseif options.input and options.stdin ~= nil and options.stdin ~= "pipe" then
    core.misuse "bad argument #1 to 'run' (the options 'input' and 'stdin' exclude each other)"
  elseif options.timeout ~= nil and (type(options.timeout) ~= "number" or options.timeout ~= options.timeout) then
    core.misuse "bad argument #1 to 'run' (the option 'timeout' is not a number of seconds)"
  elseif options.max_output ~= nil and (math.type(options.max_output) ~= "integer" or options.max_output < 0) then
    core.misuse "bad argument #1 to 'run' (the option 'max_output' is not a number of bytes)"
  end
end

local function start(options)
  local output <const> = options.capture == false and "inherit" or "pipe"
  return core.spawn("run", options, options.input and "pipe" or "null", output, output)
end

--- The limit ends before the process does, which is not counted.
local function finish(process, options, pieces)
  local closing <close> = process
  local limit <close> = core.timeout(options.timeout)
  return communicate(process, options.input, options.max_output, pieces)
end

--- Sets, in a result or an error, what has come.
local function add_output(to, process, pieces)
  to.stdout = process.stdout and table.concat(pieces.stdout)
  to.stderr = process.stderr and table.concat(pieces.stderr)
  to.args = process.args
  to.returncode = process.returncode
  return to
end

local function exit_error(process, pieces)
  local err = M.ProcessError(("subprocess.run %s: %s"):format(process.args[1], core.process_state(process)))
  err.code = process.returncode < 0 and "SIGNAL" or "EXIT"
  return nil, add_output(err, process, pieces), err.code
end

local function raise_failure(failure, process, pieces)
  if core.is(failure, core.TimeoutError) and not failure.args then
    failure.message = ("subprocess.run %s: %s"):format(process.args[1], failure.message)
    add_output(failure, process, pieces)
  end
  error(failure, 0)
end

--- Runs a program to its end, and returns what it has written. It reads `input`, or nothing, and leads a `group` of its
--- own unless `stdin = "inherit"`. Where this is cancelled, or has reached its time limit, the process is closed first.
--- The limit raises TimeoutError, as limits do; it has the output so far as `stdout` and `stderr`.
---@param options neap.RunOptions
---@return neap.RunResult?
---@return neap.Error?
---@return string? code
function M.run(options)
  if type(options) == "table" then check_run(options) end
  local process, err, code
  if type(options) == "table" then
    process, err, code = start(options)
  else
    process, err, code = core.spawn("run", options)
  end
  if not process then return nil, err, code end
  local pieces = new_pieces()
  local ran, done
  ran, done, err, code = pcall(finish, process, options, pieces)
  if not ran then raise_failure(done, process, pieces) end
  if not done then return nil, add_output(err, process, pieces), code end
  if options.check and process.returncode ~= 0 then return exit_error(process, pieces) end
  return add_output({}, process, pieces)
end

return M
