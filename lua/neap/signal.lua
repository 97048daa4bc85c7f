--- Signals of the process. A signal that somebody here hears does not do what it does by itself: while a task waits for
--- SIGINT, Ctrl-C does not cancel the program. Such a task keeps the program going, as any task does;
--- `loop:add_signal_handler` does not.
---
--- ```lua
--- neap.signal.wait("SIGINT", "SIGTERM")
--- server:close(5)                          -- its handlers may go on for five seconds
--- ```
-- Written in C (src/process/signal.c); this is what it offers.
local core = require "neap.core"

--- A signal: "SIGHUP", "SIGINT", "SIGRTMIN+1", or its number.
---@alias neap.Signal string|integer

--- Hears its signals from when it is made until it is closed; what comes while nobody waits is kept. A `<close>` value.
---@class neap.SignalListener
---@field next fun(self): string? waits for the next signal: its name, or nil when the listener is closed
---@field signals fun(self): fun(): string? for name in listener:signals() do ... end, until it is closed
---@field close fun(self) whoever waits gets nil

---@class neap.signal
local M = {}

--- Waits for one of these signals: the name of the one that came.
---@type fun(...: neap.Signal): string?, neap.OSError?, string?
M.wait = core.signal_wait

--- Begins to hear these signals, in place of whoever in the process heard them before, the neap command included.
---@type fun(...: neap.Signal): neap.SignalListener?, neap.OSError?, string?
M.listen = core.signal_listen

--- Sends a signal to a process, as kill(2); 0 asks whether it is there.
---@type fun(pid: integer, signal: neap.Signal): true?, neap.OSError?, string?
M.send = core.signal_send

return M
