local sched = require "sched"

local limit_s = 120

local function echo(conn)
  for chunk in sched.reader(conn) do
    if not sched.write(conn, chunk) then break end
  end
  conn:close()
end

sched.run(function()
  print(sched.serve(echo))
  io.stdout:flush()
  sched.sleep(limit_s)
end)
