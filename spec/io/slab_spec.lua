-- Readers that run in the midst of a poll, because the block that reads go into is full.
local neap = require "neap"
local program = require "spec.support.program"
local support = require "spec.support.stream"

local PAIRS <const>, BYTES <const> = 12, 40 * 1024 -- one read each; together more than the block has room for

-- Pairs of streams as a <close> value, all of which receive, also unasked: so many bytes are on their way to each.
local function crowd()
  local all = setmetatable({}, { __close = function(self)
    for _, ends in ipairs(self) do
      ends.near:close()
      ends.far:close()
    end
  end })
  for i = 1, PAIRS do
    all[i] = support.pair { limit = BYTES }
    assert(all[i].near:write "?")
    assert.equal("?", all[i].far:read(1))
  end
  for i, ends in ipairs(all) do
    ends.writer = neap.create_task(function() assert(ends.near:write(string.char(64 + i):rep(BYTES))) end)
  end
  return all
end

local function read_all(all, got)
  for i, ends in ipairs(all) do
    ends.reader = neap.create_task(function()
      while #got[i] < BYTES do got[i] = got[i] .. assert(ends.far:read_some()) end
    end)
  end
end

describe("a full block of received bytes", function()
  it("loses none, and mixes none up", function()
    local all <close> = crowd()
    local got = {}
    for i = 1, PAIRS do got[i] = "" end
    read_all(all, got)
    for _, ends in ipairs(all) do ends.reader:await() end
    for i = 1, PAIRS do assert.equal(string.char(64 + i):rep(BYTES), got[i]) end
  end)

  it("keeps what nobody reads yet", function()
    local all <close> = crowd()
    for round = 1, 2 do
      for i = round, PAIRS, 2 do
        assert.equal(string.char(64 + i):rep(BYTES), all[i].far:readexactly(BYTES))
      end
    end
  end)

  it("lets each reader close the others", function()
    local all <close> = crowd()
    local readers, ended = {}, 0
    for i, ends in ipairs(all) do
      readers[i] = neap.create_task(function()
        pcall(ends.far.read_some, ends.far)
        for j, other in ipairs(all) do
          if j ~= i then other.far:abort() end
        end
        ended = ended + 1
      end)
    end
    neap.wait(readers)
    assert.equal(PAIRS, ended)
    for _, ends in ipairs(all) do pcall(ends.writer.await, ends.writer) end
  end)

  it("lets each reader cancel the others, which lose no byte", function()
    local all <close> = crowd()
    local readers, got = {}, {}
    for i, ends in ipairs(all) do
      readers[i] = neap.create_task(function()
        got[i] = assert(ends.far:read_some())
        for j = 1, PAIRS do
          if j ~= i then readers[j]:cancel() end
        end
      end)
    end
    neap.wait(readers)
    for i, ends in ipairs(all) do
      local read = got[i] or ""
      assert.equal(string.char(64 + i):rep(BYTES), read .. ends.far:readexactly(BYTES - #read))
    end
  end)

  local script <const> = [[
    local neap = require "neap"
    local bytes <const> = 40 * 1024
    local server = assert(neap.start_server(function(stream)
      stream:read_some()
      %s
    end, "127.0.0.1", 0, { limit = bytes }))
    local clients = {}
    for i = 1, 12 do clients[i] = assert(neap.open_connection("127.0.0.1", server.port)) end
    for _, client in ipairs(clients) do neap.create_task(client.write, client, ("x"):rep(bytes)) end
    neap.sleep(10)]]

  local function run(what) return program.run { program.neap, "-e", script:format(what) } end

  it("lets a reader end the process", function()
    local result = run "os.exit(3, true)"
    assert.equal("", result.stdout .. result.stderr)
    assert.equal(3, result.status)
  end)

  it("lets a reader end the program", function()
    local result = run "neap.all_tasks()[1]:cancel()"
    assert.equal("", result.stdout)
    assert.equal(1, result.status)
  end)
end)
