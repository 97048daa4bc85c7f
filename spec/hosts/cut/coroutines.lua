-- Generators that await, iterators left in the middle, and modules that await while they are loaded.
local neap = require "neap"

local function counter()
  return coroutine.wrap(function()
    local limit <close> = neap.CancelScope { timeout = 60 }
    for number = 1, math.huge do
      neap.sleep(number % 2 * 0.0001)
      coroutine.yield(number)
    end
  end)
end

local function take(last)
  local _ <close> = guard()
  while true do
    for number in counter() do
      if number == last then break end
    end
    neap.sleep(0)
  end
end

local function nested()
  local _ <close> = guard()
  local outer = coroutine.wrap(function()
    while true do
      for number in counter() do
        coroutine.yield(number)
        if number == 3 then break end
      end
    end
  end)
  while true do outer() end
end

local function loader(name)
  local _ <close> = guard()
  while true do
    package.preload[name] = function()
      neap.sleep(0.0001)
      return {}
    end
    require(name)
    package.loaded[name] = nil
  end
end

for number = 1, 4 do
  neap.create_task(take, number)
  neap.create_task(nested)
  neap.create_task(loader, "module" .. number % 2)
end
neap.sleep(60)
