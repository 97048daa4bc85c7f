-- neap as `cmake --install` puts it into an empty folder.
local assert = require "luassert"
local folder = require "spec.support.folder"
local program = require "spec.support.program"

local installed = {}

-- The other presets have runtimes in them that what is installed does not bring.
local PRESETS <const> = { release = true, debug = true }

installed.is_possible = PRESETS[os.getenv "NEAP_PRESET" or "release"] == true

-- The folder of the build that is tested.
installed.build = program.neap:match "^(.*)/[^/]*$"
if not installed.build:find "^/" then installed.build = os.getenv "PWD" .. "/" .. installed.build end

-- A new folder whose `prefix` has all of it.
function installed.new()
  local dir = folder.new()
  local result = dir:shell('cmake --install "$1" --prefix prefix', installed.build)
  assert.equal("", result.stderr)
  assert.equal(0, result.status)
  return dir
end

-- The module's folder in the environment of a stock interpreter.
installed.LUA_CPATH = 'LUA_CPATH="$PWD/prefix/lib/lua/5.4/?.so"'

-- Whether there is such a command.
function installed.has(command)
  return os.execute(("command -v %s >/dev/null"):format(command)) == true
end

return installed
