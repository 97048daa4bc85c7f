-- Programs, pipes between them, and a time limit that leaves nobody behind.
local neap = require "neap"
local subprocess = require "neap.subprocess"

-- To the end, with input and output.
print(subprocess.run({ "tr", "a-z", "A-Z", input = "moon" }).stdout)

-- Line by line while it runs; arguments of the shell's commands need no quoting.
do
  local command <const> = 'for word in "$@"; do echo "<$word>"; done'
  local process <close> = assert(subprocess.shell { command, "a b", "$c", stdout = "pipe" })
  for line in process.stdout:lines() do print(line) end
end

-- The output of one is the input of another.
do
  local sort <close> = assert(subprocess.exec { "sort", "-r", stdin = "pipe", stdout = "pipe" })
  local seq <close> = assert(subprocess.exec { "seq", 3, stdout = sort.stdin })
  sort.stdin:close()
  print(sort.stdout:read(1, "l", 1))
  print(seq:wait(), sort:wait())
end

-- What a program says against itself is a result; what stands against its start, and a check, are nil and an error.
print(subprocess.run({ "exit 3", shell = true }).returncode)
print((select(2, subprocess.run { "exit 3", shell = true, check = true })))
print((select(2, subprocess.run { "/no/such/program" })))

-- The shell and what it has started end with the limit.
local ended, err = pcall(subprocess.run, { "echo begun; sleep 100 | cat", shell = true, timeout = 0.1 })
print(ended, neap.is(err, neap.TimeoutError), err.returncode)

-- expect: MOON
-- expect: <a b>
-- expect: <$c>
-- expect: 3		2
-- expect: 0	0
-- expect: 3
-- expect: subprocess.run exit 3: exit status 3
-- expect: subprocess.run /no/such/program: no such file or directory
-- expect: false	true	-15
