-- Many threads, many messages, cancels and kills: nothing is lost or doubled.
local neap = require "neap"

local THREADS <const> = 8
local MESSAGES <const> = os.getenv "NEAP_PRESET" == "tsan" and 1000 or 10000 -- which is slow

-- What each thread does: takes messages with tasks that are cancelled and killed meanwhile, and answers each.
local function work(requests, answers, seed)
  local function serve()
    for request in requests:messages() do
      local shield <close> = neap.shielded()
      answers:send(request)
    end
  end
  local function kill_one()
    local victim = neap.create_task(requests.receive, requests)
    neap.sleep(0)
    local request = not victim:kill() and victim:await()
    if request then answers:send(request) end
  end
  math.randomseed(seed)
  local servers = { neap.create_task(serve), neap.create_task(serve), neap.create_task(serve) }
  while not (requests:closed() and requests:qsize() == 0) do
    local i = math.random(#servers)
    if not servers[i]:done() then servers[i]:cancel() end
    kill_one()
    neap.sleep(0.0005)
    servers[i] = neap.create_task(serve)
  end
  for _, server in ipairs(servers) do pcall(server.await, server) end
end

local function send_all(requests)
  for i = 1, MESSAGES do requests:send(i) end
  requests:close()
end

local function receive_all(answers)
  local times, total = {}, 0
  for i = 1, MESSAGES do times[i] = 0 end
  while total < MESSAGES do
    local answer = answers:receive()
    times[answer] = times[answer] + 1
    total = total + 1
  end
  for i = 1, MESSAGES do assert.equal(1, times[i], i) end
end

describe("eight threads", function()
  for _, maxsize in ipairs { 0, 1, 128 } do
    it(("answer many messages through channels of %d, each once"):format(maxsize), function()
      local requests <const>, answers <const> = neap.Channel(maxsize), neap.Channel(maxsize)
      local threads = {}
      for i = 1, THREADS do threads[i] = neap.thread(work, requests, answers, i) end
      neap.gather(function() send_all(requests) end, function() receive_all(answers) end)
      for i = 1, THREADS do threads[i]:join() end
      assert.equal(0, answers:qsize())
    end)
  end
end)
