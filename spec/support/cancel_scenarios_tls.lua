-- Calls of streams over TLS, for spec.support.cancel_matrix, on 127.0.0.1 in real time.
local assert = require "luassert"
local certificates = require "spec.support.certificates"
local neap = require "neap"
local tls = require "spec.support.tls"

local scenarios = {}

local function server_options() return certificates.server("good", { server = true }) end

-- A handshake with a peer, over what carries single bytes or all at once. The side that is cancelled is closed.
local function shake_scene(server, piece)
  local ends = tls.relayed({ piece = piece }, { piece = piece })
  local mine, theirs = ends.near, ends.far
  if server then mine, theirs = theirs, mine end
  local options, others = certificates.client(), server_options()
  if server then options, others = others, options end
  local peer = neap.create_task(function() return theirs:start_tls(others) end)
  return {
    wait = function()
      if mine:is_closing() then return neap.sleep(0) end -- who swallows a cancel tries again
      assert.equal(mine, (assert(mine:start_tls(options))))
    end,
    intact = function(cell)
      if not cell.went_on then mine:abort() end
      local secured = peer:await()
      if not (cell.went_on and secured) then return end
      assert.is_false(mine:is_closing())
      mine:write "on\n"
      assert.equal("on", theirs:read "l")
    end,
    close = function() getmetatable(ends).__close(ends) end,
  }
end

for _, server in ipairs { false, true } do
  for name, piece in pairs { ["all at once"] = 65536, ["in pieces"] = 600 } do
    scenarios[("Stream:start_tls of a %s, %s"):format(server and "server" or "client", name)] = {
      of = { "Stream:start_tls" },
      real = true,
      make = function() return shake_scene(server, piece) end,
    }
  end
end

scenarios["open_connection with TLS"] = {
  of = { "neap.open_connection" },
  real = true,
  make = function()
    local server = assert(neap.start_server(function(near) near:read "a" end, "127.0.0.1", 0,
      { tls = certificates.server("good", { on_handshake_error = function() end }) }))
    local options = { tls = { ca_file = certificates.file "root.pem" } }
    return {
      wait = function()
        local near <close> = assert(neap.open_connection("127.0.0.1", server.port, options))
      end,
      intact = function()
        local near <close> = assert(neap.open_connection("127.0.0.1", server.port, options))
      end,
      close = function() server:close() server:wait_closed() end,
    }
  end,
}

scenarios["Stream:read over TLS"] = {
  of = { "Stream:read" },
  real = true,
  make = function()
    local ends, got = tls.pair(), {}
    local sender = neap.create_task(function()
      for _, piece in ipairs { "on", "e\ntw", "o\n" } do
        for _ = 1, 4 do neap.sleep(0) end
        assert(ends.far:write(piece))
      end
      ends.far:shutdown()
    end)
    return {
      wait = function()
        for _ = 1, 2 do got[#got + 1] = ends.near:read "L" end
      end,
      intact = function()
        sender:await()
        got[#got + 1] = ends.near:read "a"
        assert.equal("one\ntwo\n", table.concat(got))
      end,
      close = function() ends.near:close() ends.far:close() end,
    }
  end,
}

scenarios["Stream:shutdown and wait_closed over TLS"] = {
  of = { "Stream:shutdown", "Stream:wait_closed" },
  real = true,
  at_once = true,
  make = function()
    local ends = tls.pair()
    local reader
    return {
      wait = function()
        if ends.near:is_closing() then return neap.sleep(0) end
        reader = reader or neap.create_task(function()
          ends.far:read "a"
          ends.far:close()
        end)
        ends.near:write(("x"):rep(50000))
        assert(ends.near:shutdown())
        ends.near:close()
        assert(ends.near:wait_closed())
      end,
      close = function() ends.near:close() ends.far:close() end,
    }
  end,
}

return scenarios
