-- Counting primes takes the processor: to_thread does it in other threads, one for each processor, while this one goes
-- on. Each range is a call of its own, and all are waited for together.
local neap = require "neap"

local function count_primes(first, last)
  local count = 0
  for n = math.max(first, 2), last do
    local is_prime = true
    for divisor = 2, math.floor(math.sqrt(n)) do
      if n % divisor == 0 then
        is_prime = false
        break
      end
    end
    if is_prime then count = count + 1 end
  end
  return count
end

local RANGE <const>, LAST <const> = 5000, 40000

local counts = {}
for first = 1, LAST, RANGE do
  counts[#counts + 1] = function() return neap.to_thread(count_primes, first, first + RANGE - 1) end
end

local counting = neap.create_task(neap.gather, counts)
neap.sleep(0)
print "counting"

local total = 0
for _, count in ipairs(counting:await()) do total = total + count end
print(("%d primes up to %d"):format(total, LAST))

-- expect: counting
-- expect: 4203 primes up to 40000
