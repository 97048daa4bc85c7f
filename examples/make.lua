-- A small make: targets need others, and a few commands of the shell run at once. What a command prints is shown in one
-- piece, in the order in which one after the other would run; the first that fails ends those that still do.
local neap = require "neap"
local subprocess = require "neap.subprocess"

--- The targets that `target` needs, and itself, each behind those that it needs.
local function in_order(rules, target, order, state)
  if state[target] == "done" then return order end
  if state[target] then error("make: " .. target .. " needs itself", 0) end
  local rule = rules[target] or error("make: there is no rule for " .. target, 0)
  state[target] = "begun"
  for _, needed in ipairs(rule.needs or {}) do in_order(rules, needed, order, state) end
  state[target] = "done"
  order[#order + 1] = target
  return order
end

local function make(rules, target, jobs)
  local order <const> = in_order(rules, target, {}, {})
  local slots <const>, outputs = neap.Semaphore(jobs), {}
  for _, name in ipairs(order) do outputs[name] = neap.Future() end
  local group <close> = neap.TaskGroup()

  local function build(name)
    local rule <const> = rules[name]
    for _, needed in ipairs(rule.needs or {}) do outputs[needed]:await() end
    local _ <close> = slots:acquire()
    local result, err = subprocess.run { rule[1], shell = true, stderr = "stdout", check = true }
    if not result then
      err.job = name
      error(err, 0)
    end
    outputs[name]:set_result(result.stdout)
  end

  for _, name in ipairs(order) do group:create_task(build, name) end
  for _, name in ipairs(order) do
    local output = outputs[name]:await()
    print(name)
    io.write(output)
  end
end

local function try(rules, target)
  local made, err = pcall(make, rules, target, 2)
  if made then return print(target .. " is made") end
  if not neap.is(err, subprocess.ProcessError) then return print(err) end
  io.write(err.stdout)
  print(("make: %s: exit status %d"):format(err.job, err.returncode))
end

local folder <const> = subprocess.run { "mktemp", "-d", check = true }.stdout:match "%S+"
local cleaner <close> = setmetatable({}, { __close = function() subprocess.run { "rm", "-r", folder } end })

local function rule(command, ...)
  return { ("cd %s; %s"):format(folder, command), needs = { ... } }
end

local rules <const> = {
  hello = rule("cat main.o greeting.o >hello; cat hello", "main.o", "greeting.o"),
  ["main.o"] = rule("sleep 0.05; echo compiling main; echo main >main.o", "config.h"),
  ["greeting.o"] = rule("echo compiling greeting; echo greeting >greeting.o", "config.h"),
  ["config.h"] = rule "echo configuring; touch config.h",
  tests = rule("true", "broken", "slow"),
  broken = rule("sleep 0.02; echo this cannot work >&2; exit 3", "hello"),
  slow = rule "sleep 100",
  circle = rule("true", "circle"),
}

try(rules, "hello")
try(rules, "tests")
try(rules, "circle")

-- expect: config.h
-- expect: configuring
-- expect: main.o
-- expect: compiling main
-- expect: greeting.o
-- expect: compiling greeting
-- expect: hello
-- expect: main
-- expect: greeting
-- expect: hello is made
-- expect: config.h
-- expect: configuring
-- expect: main.o
-- expect: compiling main
-- expect: greeting.o
-- expect: compiling greeting
-- expect: hello
-- expect: main
-- expect: greeting
-- expect: this cannot work
-- expect: make: broken: exit status 3
-- expect: make: circle needs itself
