--- Errors that nobody reads go to the loop's exception handler.
local core = require "neap.core"

--- With what is known of the task that failed, if it was one.
return function(message, err, task)
  core.get_event_loop():call_exception_handler {
    message = message, exception = err, task = task or nil,
    traceback = task and task:get_stack() or nil, made_at = task and task:made_at() or nil,
  }
end
