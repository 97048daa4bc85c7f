-- neap.stdin, stdout and stderr, in child processes: as files, pipes, sockets, terminals. neap.pipe and open_fd.
local neap = require "neap"
local folder = require "spec.support.folder"
local program = require "spec.support.program"

local ECHO <const> = [[
  local neap = require "neap"
  for line in neap.stdin:lines() do neap.stdout:write("got ", line, "\n") end
  io.write "end\n"
  neap.stderr:write "done\n"
]]

describe("standard streams", function()
  local place

  before_each(function()
    place = folder.new()
    place:write("echo.lua", ECHO)
  end)
  after_each(function() place:remove() end)

  local function shell(line)
    local result = place:shell(line)
    assert.equal(0, result.status, result.stderr)
    return result
  end

  it("can be pipes", function()
    local result = shell [[printf 'a\nb' | "$NEAP" echo.lua | cat]]
    assert.equal("got a\ngot b\nend\n", result.stdout)
  end)

  it("can be files, whose position others share", function()
    shell [[printf 'a\nb\n' >in; ("$NEAP" echo.lua; echo more) <in >out 2>err]]
    assert.equal("got a\ngot b\nend\nmore\n", place:read "out")
    assert.equal("done\n", place:read "err")
    shell [["$NEAP" -e 'require"neap".stdout:write "x"' >>out]]
    assert.equal("got a\ngot b\nend\nmore\nx", place:read "out")
  end)

  it("leave to others what they have not read of a file", function()
    place:write("two.lua", [[
      local neap = require "neap"
      local line = neap.stdin:read "l"
      neap.stdin:seek("cur", #"skipped\n")
      neap.stdout:write("[", line, "]")
      neap.stdout:sync()
    ]])
    place:write("in", "first\nskipped\n" .. ("rest\n"):rep(3))
    assert.equal("[first]rest\nrest\nrest\n", shell [[("$NEAP" two.lua; cat) <in]].stdout)
  end)

  it("can be closed", function()
    local result = place:shell [["$NEAP" -e 'local n = require "neap" print(pcall(n.stdin.read, n.stdin))' <&-]]
    assert.matches("^false\t.*read: the stream is only for writing\n$", result.stdout)
    assert.equal("nil\tBad file descriptor\t9\n", shell [["$NEAP" -e 'print(io.read())' <&-]].stdout)
  end)

  it("do not end with the stream", function()
    local result = shell [["$NEAP" -e '
      local neap = require "neap"
      neap.stdout:write "one\n"
      neap.stdout:close()
      neap.stdout:wait_closed()
      print "two"' | cat]]
    assert.equal("one\ntwo\n", result.stdout)
  end)

  it("keep a program alive only while someone reads", function()
    local result = shell [[sleep 10 | "$NEAP" -e '
      local neap = require "neap"
      local task = neap.create_task(function() return neap.stdin:read() end)
      neap.sleep(0.01)
      task:cancel()
      print(neap.stdin)']]
    assert.equal("<Stream to stdin>\n", result.stdout)
  end)

  it("lose nothing that print writes to the same pipe", function()
    local result = shell [["$NEAP" -e '
      local neap = require "neap"
      for i = 1, 2000 do
        neap.stdout:write(("a"):rep(99), "\n")
        print(("b"):rep(99))
      end
      io.stdout:flush()' | (sleep 0.2; wc -c)]]
    assert.equal(400000, tonumber(result.stdout))
  end)

  -- A program of Python's stands at the other end of sockets and terminals.
  local function python(code)
    place:write("other.py", code)
    local result = place:shell "command -v python3 >/dev/null || exit 77; timeout -s KILL 15 python3 other.py"
    if result.status == 77 then pending "needs python3" end
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    return result.stdout
  end

  it("can be sockets, which stay as they are", function()
    local printed = python [[
import fcntl, os, socket, subprocess, threading
near, far = socket.socketpair()
child = subprocess.Popen([os.environ['NEAP'], 'echo.lua'], stdin=far, stdout=far, stderr=far)
total = b''
def send():
    near.sendall(b'x\n' + (b'y' * 1000 + b'\n') * 1000)
    near.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
while not total.endswith(b'end\n'):
    total += near.recv(1000)
print(len(total), total[:6], child.wait(), fcntl.fcntl(far, fcntl.F_GETFL) & os.O_NONBLOCK)
]]
    assert.equal(("%d b'got x\\n' 0 0\n"):format(6 + 1005 * 1000 + 9), printed)
  end)

  local TERMINAL <const> = [[
import os, pty, select, signal, sys, termios, time
def run(code, *steps):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(os.environ['NEAP'], ['neap', '-e', code])
    out = b''
    before = termios.tcgetattr(fd)
    for wait, send in steps:
        while wait not in out: out += os.read(fd, 1000)
        if callable(send): send(pid)
        else: os.write(fd, send)
    try:
        while True:
            more = os.read(fd, 1000)
            if not more: break
            out += more
    except OSError: pass
    return out.replace(b'\r\n', b'\n').decode(), os.waitpid(pid, 0)[1]
]]

  it("can be a terminal", function()
    local printed = python(TERMINAL .. [[
print(run('''local neap = require "neap"
print(neap.stdin:isatty(), neap.stdout:isatty(), neap.stdout:winsize())
io.stdout:flush()
for line in neap.stdin:lines() do neap.stdout:write("got ", line, "\\n") end
print "end"''', (b'true\ttrue', b'hi\n'), (b'got hi', b'\x04')))
]])
    assert.matches("true\\ttrue\\t%d+\\t%d+\\n.*got hi\\nend\\n', 0%)", printed)
  end)

  it("leave a terminal as it was, whatever the end", function()
    local printed = python(TERMINAL .. [[
raw = '''local neap = require "neap"
assert(neap.stdin:set_mode "raw")
os.execute "stty -a <&0 | grep -q -- -icanon && echo RAW"
%s
'''
def shown(code, *steps):
    pid, fd = pty.fork()
    if pid == 0:
        if os.fork() == 0: os.execv(os.environ['NEAP'], ['neap', '-e', raw % code])
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.wait()
        os.execvp('sh', ['sh', '-c', 'stty -a | grep -q " icanon" && echo restored'])
    out = b''
    for wait, send in steps:
        while wait not in out: out += os.read(fd, 1000)
        os.write(fd, send)
    try:
        while True:
            more = os.read(fd, 1000)
            if not more: break
            out += more
    except OSError: pass
    print('RAW' in out.decode(), 'restored' in out.decode())
shown('')
shown('os.exit(3)')
shown('neap.stdin:read(1)', (b'RAW', b'x'))
shown('error "x"')
shown('assert(neap.stdin:set_mode "normal")')
shown('neap.stdin:close()')
shown('os.execute("(sleep 0.1; kill -INT $PPID; sleep 0.1; kill -INT $PPID) &") while true do end')
]])
    assert.equal(("True True\n"):rep(7), printed)
  end)

  it("are refused as terminals where they are none", function()
    local result = shell [["$NEAP" -e '
      local s = require "neap".stdout
      print(s:isatty(), select(3, s:set_mode "raw"), (select(3, s:winsize())))
      print(pcall(s.set_mode, s, "cooked"))' | cat]]
    assert.matches("^false\tENOTTY\tENOTTY\nfalse\t.*invalid option 'cooked'", result.stdout)
  end)
end)

describe("a pipe", function()
  it("goes in one direction, and ends", function()
    local reader, writer = neap.pipe()
    assert.equal(writer, writer:write "hello\n")
    assert.equal("hello", reader:read())
    assert.has_error(function() reader:write "x" end)
    assert.has_error(function() writer:read() end)
    assert.is_true(writer:shutdown())
    assert.is_nil(reader:read())
    assert.has_error(function() writer:write "x" end)
    writer:close()
    assert.is_true(writer:wait_closed())
    reader:close()
    reader:wait_closed()
  end)

  it("breaks when nobody reads", function()
    local reader, writer = neap.pipe()
    reader:close()
    reader:wait_closed()
    local stream, err, code = writer:write "x"
    assert.is_nil(stream)
    assert.equal("EPIPE", code)
    assert.equal("write pipe: broken pipe", tostring(err))
    writer:close()
    writer:wait_closed()
  end)

  it("carries much, in order", function()
    local reader, writer = neap.pipe()
    local sender = neap.create_task(function()
      for i = 1, 20000 do assert(writer:write(("%07d\n"):format(i))) end
      writer:close()
    end)
    for i = 1, 20000 do assert.equal(i, reader:read "n") end
    sender:await()
    reader:close()
    reader:wait_closed()
    writer:wait_closed()
  end)
end)

describe("open_fd", function()
  it("tells of descriptors that are none", function()
    local stream, err, code = neap.open_fd(100000)
    assert.is_nil(stream)
    assert.equal("EBADF", code)
    assert.equal("open_fd descriptor 100000: bad file descriptor", tostring(err))
    assert.has_error(function() neap.open_fd(-1) end)
    assert.has_error(function() neap.open_fd "x" end)
    assert.has_error(function() neap.open_fd(1 << 40) end)
  end)

  it("takes a descriptor over", function()
    local result = program.run { "sh", "-c", [["$1" -e '
      local s = require "neap".open_fd(7)
      print(s:read "a")
      s:close() s:wait_closed()
      print(require "neap".open_fd(7))' 7</etc/hostname | tail -1]], "sh", program.neap }
    assert.equal("nil\topen_fd descriptor 7: bad file descriptor\tEBADF\n", result.stdout)
  end)
end)
