---@meta neap
-- luacheck: ignore
-- What of neap is written in C; when it is installed, that of lua/neap is added.

--- All that `require "neap"` gives, but for its modules, which have pages of their own: `neap.fs`, `neap.subprocess`,
--- `neap.signal`, `neap.tls`, and `require "neap.testing"`. How it fits together is told by `docs/model.md`.
---@class neap
---@field stdin neap.Stream opened when it is first used, like the next two; unlike `io.read` it lets others run
---@field stdout neap.Stream what `print` writes to; `io` has a buffer of its own, which comes when it is flushed
---@field stderr neap.Stream
local neap = {}

--- Anything that can be awaited.
---@alias neap.Awaitable neap.Future|function|thread

-- Tasks and futures

--- A place for a result that somebody sets.
---@class neap.Future
local Future = {}

--- Waits for it: all its values, or the very error that was raised there.
---@return any ...
function Future:await() end

--- Its values; raises its error, or InvalidStateError while it is not done.
---@return any ...
function Future:result() end

--- Its error, or nil. Raises InvalidStateError while it is not done, and CancelledError if it was cancelled.
---@return any
function Future:exception() end

---@return boolean
function Future:done() end

---@return boolean
function Future:cancelled() end

--- Whether it ended with an error that is not a cancellation.
---@return boolean
function Future:failed() end

--- Cancels it: true, or false if it is done. Its message is that of the CancelledError.
---@param message any
---@return boolean
function Future:cancel(message) end

--- Calls `fn(future)` in the turn after its end.
---@param fn fun(future: neap.Future)
function Future:add_done_callback(fn) end

--- Takes a callback back; returns how often it was there.
---@param fn fun(future: neap.Future)
---@return integer
function Future:remove_done_callback(fn) end

--- Ends it with these values.
---@param ... any
function Future:set_result(...) end

--- A CancelledError cancels it.
---@param err any
function Future:set_exception(err) end

--- A function that runs in a coroutine of its own, at the side of others.
---@class neap.Task: neap.Future
local Task = {}

--- Waits for it: all its values, or the very error that was raised there. Cancelling the caller cancels it.
---@return any ...
function Task:await() end

--- Its values; raises its error, or InvalidStateError while it has not ended.
---@return any ...
function Task:result() end

--- Its error, or nil. Raises InvalidStateError while it has not ended, and CancelledError if it was cancelled.
---@return any
function Task:exception() end

---@return boolean
function Task:done() end

---@return boolean
function Task:cancelled() end

--- Whether it ended with an error that is not a cancellation.
---@return boolean
function Task:failed() end

--- Asks it to end: from now on every await in it raises CancelledError. True, or false if it has ended.
---@param message any
---@return boolean
function Task:cancel(message) end

--- How many cancels were asked for and not taken back.
---@return integer
function Task:cancelling() end

--- Takes one cancel back; returns how many are left.
---@return integer
function Task:uncancel() end

--- Ends what will not end: its `<close>` variables run, and cannot await. False if it has ended.
---@return boolean
function Task:kill() end

--- Calls `fn(task)` in the turn after its end.
---@param fn fun(task: neap.Task)
function Task:add_done_callback(fn) end

--- Takes a callback back; returns how often it was there.
---@param fn fun(task: neap.Task)
---@return integer
function Task:remove_done_callback(fn) end

---@return string
function Task:get_name() end

---@param name any made a string
function Task:set_name(name) end

--- Its traceback; of a failed task, where the error was raised.
---@return string?
function Task:get_stack() end

--- The file and line where it was made, while it has not ended or if it failed.
---@return string?
function Task:made_at() end

--- A new future, without a result.
---@return neap.Future
function neap.Future() end

--- Waits for it: all its values, or the very error that was raised there. A function is called here.
---@param awaitable neap.Awaitable
---@param ... any for a function or coroutine
---@return any ...
function neap.await(awaitable, ...) end

--- Waits until the descriptor, which somebody else reads from, has something to read, its end, or an error.
---@param fd integer
---@return true?
---@return neap.OSError?
---@return string?
function neap.wait_readable(fd) end

--- The same until the descriptor takes something.
---@param fd integer
---@return true?
---@return neap.OSError?
---@return string?
function neap.wait_writable(fd) end

--- Suspends this task alone, and returns the other arguments. 0 lets the others run once; math.huge is until
--- it is cancelled.
---@param seconds number
---@param ... any
---@return any ...
function neap.sleep(seconds, ...) end

--- A task that will call `fn(...)`. It starts when its creator next suspends.
---@param fn function|thread
---@param ... any
---@return neap.Task
function neap.create_task(fn, ...) end

--- The running task, or nil in a callback. Raises when no loop is running.
---@return neap.Task?
function neap.current_task() end

--- The tasks that have not ended, in the order in which they were made.
---@return neap.Task[]
function neap.all_tasks() end

--- The task or future itself, or a new task of a function.
---@param awaitable neap.Awaitable
---@param ... any
---@return neap.Future
function neap.ensure_future(awaitable, ...) end

--- Whether it is a task or a future.
---@param value any
---@return boolean
function neap.isfuture(value) end

--- In stock Lua: lets coroutines of your own, and modules while they load, await; `require "socket"` gives neap's.
function neap.install() end

-- Scopes

--- A block that can be cancelled as one, as a `<close>` variable.
---@class neap.CancelScope
local CancelScope = {}

--- From now on every await in it raises CancelledError.
function CancelScope:cancel() end

--- Ends it, as the end of the block does.
function CancelScope:close() end

--- Whether it was cancelled, by a call or by its time limit.
---@return boolean
function CancelScope:cancelled() end

--- Whether its time limit was over.
---@return boolean
function CancelScope:expired() end

--- The deadline as a time of the loop, or nil.
---@return number?
function CancelScope:when() end

--- Moves the deadline of an open limit to a time of the loop; nil takes it away.
---@param time number?
function CancelScope:reschedule(time) end

--- Calls `fn(...)` in it and ends it: true and its values, or false when the scope was cancelled.
---@param fn function
---@param ... any
---@return boolean completed
---@return any ...
function CancelScope:run(fn, ...) end

--- A time limit for the block it is a `<close>` variable of, which then raises TimeoutError; nil is no limit.
---@param seconds number?
---@return neap.CancelScope
function neap.timeout(seconds) end

--- The same with a time of the loop's clock.
---@param time number?
---@return neap.CancelScope
function neap.timeout_at(time) end

--- A block, as a `<close>` variable, whose awaits no cancel from outside reaches.
---@return neap.CancelScope
function neap.shielded() end

--- A block that can be cancelled as one, as a `<close>` variable.
---@param options { timeout: number?, shield: boolean? }?
---@return neap.CancelScope
function neap.CancelScope(options) end

--- A block, as a `<close>` variable, that waits for the tasks made in it. The first error cancels the others
--- and is raised.
---@return neap.TaskGroup
function neap.TaskGroup() end

-- Sharing

--- One holder at a time, first come, first served.
---@class neap.Lock
local Lock = {}

--- Waits until it is free; what it returns releases it as a `<close>` variable. Cancelled, it has not taken it.
---@return neap.Lock
function Lock:acquire() end

--- Gives it to the first who waits. Raises if nobody holds it.
function Lock:release() end

---@return boolean
function Lock:locked() end

--- A number of permits.
---@class neap.Semaphore
local Semaphore = {}

--- Waits for a permit; what it returns releases it as a `<close>` variable.
---@return neap.Semaphore
function Semaphore:acquire() end

--- Gives a permit back, to the first who waits.
function Semaphore:release() end

--- Whether acquire would wait.
---@return boolean
function Semaphore:locked() end

--- A semaphore that raises when more is released than was acquired.
---@class neap.BoundedSemaphore: neap.Semaphore

--- Items on their way from task to task.
---@class neap.Queue
---@field maxsize integer 0 for no limit
local Queue = {}

--- Adds an item; waits while it is full. Raises QueueShutDown. Cancelled, it has added nothing.
---@param item any also nil
function Queue:put(item) end

--- Adds an item, or raises QueueFull.
---@param item any also nil
function Queue:put_nowait(item) end

--- Takes the next item; waits while there is none. Raises QueueShutDown once it was shut down and is empty.
---@return any
function Queue:get() end

--- Takes the next item, or raises QueueEmpty.
---@return any
function Queue:get_nowait() end

--- Waits until task_done was called for every item that was put.
function Queue:join() end

--- An item that was taken has been dealt with.
function Queue:task_done() end

--- From now on put raises QueueShutDown, and so does get once no item is left.
---@param immediate boolean? drops the items
function Queue:shutdown(immediate) end

---@return integer
function Queue:qsize() end

---@return boolean
function Queue:empty() end

---@return boolean
function Queue:full() end

--- A new lock.
---@return neap.Lock
function neap.Lock() end

--- A new semaphore.
---@param value integer? permits at the start (1)
---@return neap.Semaphore
function neap.Semaphore(value) end

--- A new semaphore that raises when more is released than was acquired.
---@param value integer? permits at the start (1)
---@return neap.BoundedSemaphore
function neap.BoundedSemaphore(value) end

--- First in, first out.
---@param maxsize integer? no limit unless above 0
---@return neap.Queue
function neap.Queue(maxsize) end

--- Last in, first out.
---@param maxsize integer? no limit unless above 0
---@return neap.Queue
function neap.LifoQueue(maxsize) end

--- The lowest item first, equal ones in the order of arrival.
---@param maxsize integer? no limit unless above 0
---@param before (fun(a: any, b: any): boolean)? whether a comes before b (`a < b`); it must not await
---@return neap.Queue
function neap.PriorityQueue(maxsize, before) end

-- Threads

--- A queue whose messages are copied, for tasks of any number of threads. It crosses from one to another by reference.
---@class neap.Channel
---@field maxsize integer 0 for no limit
local Channel = {}

--- Sends a message of copies of the values; waits while it is full. Raises QueueShutDown. Cancelled, it has sent nothing.
---@param value any not nil
function Channel:send(value, ...) end

--- Sends a message, or raises QueueFull.
---@param value any not nil
function Channel:send_nowait(value, ...) end

--- The values of the next message; waits while there is none. nil once it was closed and is empty.
---@return any ...
function Channel:receive() end

--- The values of the next message, or raises QueueEmpty.
---@return any ...
function Channel:receive_nowait() end

--- An iterator over the messages, up to the end.
---@return fun(channel: neap.Channel): ...: any
---@return neap.Channel
function Channel:messages() end

--- From now on send raises QueueShutDown; what is left can be received. May be called twice.
function Channel:close() end

---@return boolean
function Channel:closed() end

---@return integer
function Channel:qsize() end

--- A new channel.
---@param maxsize integer? no limit unless above 0
---@return neap.Channel
function neap.Channel(maxsize) end

--- A thread, with a Lua state and a loop of its own. It crosses to other threads by reference.
---@class neap.Thread
---@field name string
---@field daemon boolean the program does not wait for it, but cancels it in the end; its parent alone can set it
local Thread = {}

--- Waits for its end, and returns what its function returned, or raises its error. May be called again. Cancelled, it
--- leaves the thread as it is: see `stop`.
---@return any ...
function Thread:join() end

--- Asks it to end: a run_forever in its body returns, or else all its tasks are cancelled.
function Thread:stop() end

---@return boolean
function Thread:is_alive() end

--- Calls a copy of the function in its loop, with copies of the arguments.
---@param fn function
---@return neap.ThreadHandle
function Thread:call_soon_threadsafe(fn, ...) end

--- Calls a copy of the function in a task of the thread, which is posted at once. The task that it returns is one of this
--- loop, and ends as that one does; cancelling it cancels that one, and does not wait for it.
---@param fn function
---@return neap.Task
function Thread:run_coroutine_threadsafe(fn, ...) end

--- A callback in another thread.
---@class neap.ThreadHandle
local ThreadHandle = {}

--- It will not be called, unless that has begun.
function ThreadHandle:cancel() end

---@return boolean
function ThreadHandle:cancelled() end

--- The thread that this runs in.
---@return neap.Thread
function neap.current_thread() end

--- The thread that started this one; nil in the host's own.
---@return neap.Thread?
function neap.parent_thread() end

-- The loop

--- A callback that was scheduled.
---@class neap.Handle
local Handle = {}

--- The callback will not be called. Does nothing when it was.
function Handle:cancel() end

---@return boolean
function Handle:cancelled() end

--- The loop time it is due at, in seconds; nil for one of call_soon.
---@return number?
function Handle:when() end

---@class neap.ErrorContext
---@field message string
---@field exception any
---@field task neap.Task?
---@field future neap.Future?
---@field handle neap.Handle?
---@field traceback string?
---@field made_at string?

---@class neap.Loop
---@field slow_callback_duration number seconds; in debug mode steps that take longer are reported
local Loop = {}

--- Its clock, in seconds from an arbitrary start; it never goes back.
---@return number
function Loop:time() end

--- Calls `fn(...)` in the next turn.
---@param fn function
---@param ... any
---@return neap.Handle
function Loop:call_soon(fn, ...) end

--- On one's own loop the same as call_soon: threads have a method of this name.
---@param fn function
---@return neap.Handle
function Loop:call_soon_threadsafe(fn, ...) end

--- Calls `fn(...)` after so long.
---@param seconds number
---@param fn function
---@param ... any
---@return neap.Handle
function Loop:call_later(seconds, fn, ...) end

--- Calls `fn(...)` at a time of `loop:time()`.
---@param time number
---@param fn function
---@param ... any
---@return neap.Handle
function Loop:call_at(time, fn, ...) end

--- Calls `fn(...)` in each turn in which the descriptor has something to read, its end, or an error, instead of what
--- was to be called before.
---@param fd integer
---@param fn function
---@param ... any
---@return true?
---@return neap.OSError?
---@return string?
function Loop:add_reader(fd, fn, ...) end

--- The same in each turn in which the descriptor takes something.
---@param fd integer
---@param fn function
---@param ... any
---@return true?
---@return neap.OSError?
---@return string?
function Loop:add_writer(fd, fn, ...) end

--- Whether there was one.
---@param fd integer
---@return boolean
function Loop:remove_reader(fd) end

--- Whether there was one.
---@param fd integer
---@return boolean
function Loop:remove_writer(fd) end

--- Calls `fn(...)` in the loop whenever the signal comes; it replaces the one before.
---@param signal neap.Signal
---@param fn function
---@param ... any
---@return true?, neap.OSError?, string?
function Loop:add_signal_handler(signal, fn, ...) end

--- Whether there was one. It is not called any more.
---@param signal neap.Signal
---@return boolean
function Loop:remove_signal_handler(signal) end

--- A task that will call `fn(...)`. It starts with the loop's next turn.
---@param fn function|thread
---@param ... any
---@return neap.Task
function Loop:create_task(fn, ...) end

---@return neap.Future
function Loop:create_future() end

--- Runs until it is done; in the script's body it awaits, in any other task it raises.
---@param awaitable neap.Awaitable
---@return any ...
function Loop:run_until_complete(awaitable) end

--- Runs until `stop`. Raises DeadlockError when nothing can happen any more.
function Loop:run_forever() end

--- The run ends with the turn that is running, or after one turn if none is.
function Loop:stop() end

--- Ends the use of this loop object. May be called twice; not while it runs, unless by the script's body.
function Loop:close() end

---@return boolean
function Loop:is_running() end

---@return boolean
function Loop:is_closed() end

--- `fn(loop, context)` gets the errors that nobody reads; nil sets the default one, which writes to stderr.
---@param fn fun(loop: neap.Loop, context: neap.ErrorContext)?
function Loop:set_exception_handler(fn) end

---@return fun(loop: neap.Loop, context: neap.ErrorContext)?
function Loop:get_exception_handler() end

--- Reports what the context describes.
---@param context neap.ErrorContext
function Loop:call_exception_handler(context) end

---@param on boolean
function Loop:set_debug(on) end

---@return boolean
function Loop:get_debug() end

--- Reports a task or callback that holds the loop for longer than `limit` seconds (1), while it does; with
--- `preempt` it makes Lua code in a task that does so let the others run. nil or false: no watchdog.
---@param options { limit: number?, preempt: boolean? }|false|nil
function Loop:set_watchdog(options) end

--- The loop that runs. Raises when none does.
---@return neap.Loop
function neap.get_running_loop() end

--- The loop that runs, or the one that was set.
---@return neap.Loop
function neap.get_event_loop() end

---@return neap.Loop
function neap.new_event_loop() end

---@param loop neap.Loop?
function neap.set_event_loop(loop) end

-- Network

--- Connects over TCP. The addresses of the host race as RFC 8305 says: both families in turn, each with a head start;
--- the first that answers is taken. Nothing but the system limits the time: `neap.timeout` and `neap.wait_for` do.
---@param host string
---@param port integer
---@param options neap.ConnectionOptions?
---@return neap.Stream?, neap.OSError?, string? code
function neap.open_connection(host, port, options) end

--- Connects to a Unix socket; waits while the server's queue is full. A path that begins with a zero byte is an
--- abstract name of Linux.
---@param path string
---@param options neap.UnixConnectionOptions?
---@return neap.Stream?, neap.OSError?, string? code
function neap.open_unix_connection(path, options) end

--- A stream for a descriptor of any kind, which it takes over; what is not a file becomes non-blocking, for all who
--- share it. Of 0, 1 and 2 it takes a copy, and leaves them as they are.
---@param fd integer
---@return neap.Stream?, neap.OSError?, string? code
function neap.open_fd(fd) end

--- Two streams: what is written to the second is read from the first.
---@param options { limit: integer? }? bytes of a line (65536)
---@return neap.Stream? reader or nil, err, code
---@return neap.Stream|neap.OSError writer
---@return string? code
function neap.pipe(options) end

--- Listens at a path, and is otherwise like `start_server`. A path that begins with a zero byte is an abstract name of
--- Linux. The file of a server that is gone is replaced, and removed when this one is closed.
---@param handler neap.Handler
---@param path string? nil where the option `fd` has the socket
---@param options neap.UnixServerOptions?
---@return neap.Server?, neap.OSError?, string? code
function neap.start_unix_server(handler, path, options) end

--- Listens on a port, 0 being a free one, and runs `handler(stream, server)` as a task for each connection. Its
--- stream is closed when it ends; its error goes to the exception handler. Without a host it listens on every
--- address of the machine, with a list of hosts on all of theirs. The server is a `<close>` value; until it is closed
--- the program goes on.
---@param handler neap.Handler
---@param host string|string[]? nil also where the option `fd` has the socket
---@param port integer?
---@param options neap.ServerOptions?
---@return neap.Server?, neap.OSError?, string? code
function neap.start_server(handler, host, port, options) end

-- Modules of their own, loaded when they are first used

--- Files and folders.
---@type neap.fs
neap.fs = nil

--- Child processes.
---@type neap.subprocess
neap.subprocess = nil

--- Signals of the system.
---@type neap.signal
neap.signal = nil

--- What connections over TLS have in common.
---@type neap.tls
neap.tls = nil

-- Errors

--- The kind above all. Called, a kind makes an error.
---@class neap.Error
---@field message any
---@overload fun(message: any): neap.Error
neap.Error = {}

---@class neap.CancelledError: neap.Error
---@field task neap.Task? that was cancelled
---@overload fun(message: any): neap.CancelledError
neap.CancelledError = {}

---@class neap.TimeoutError: neap.Error
---@overload fun(message: any): neap.TimeoutError
neap.TimeoutError = {}

---@class neap.InvalidStateError: neap.Error
---@overload fun(message: any): neap.InvalidStateError
neap.InvalidStateError = {}

---@class neap.DeadlockError: neap.Error
---@overload fun(message: any): neap.DeadlockError
neap.DeadlockError = {}

--- What the outside world did.
---@class neap.OSError: neap.Error
---@field code string libuv's name, such as "ECONNREFUSED"
---@field operation string
---@field target string?
---@field errors neap.OSError[]? of each address that was tried
---@overload fun(message: any): neap.OSError
neap.OSError = {}

---@class neap.IncompleteReadError: neap.Error
---@field partial string
---@field expected integer?
---@overload fun(message: any): neap.IncompleteReadError
neap.IncompleteReadError = {}

---@class neap.LimitOverrunError: neap.Error
---@field consumed integer
---@overload fun(message: any): neap.LimitOverrunError
neap.LimitOverrunError = {}

---@class neap.LimitError: neap.Error
---@overload fun(message: any): neap.LimitError
neap.LimitError = {}

---@class neap.QueueEmpty: neap.Error
---@overload fun(message: any): neap.QueueEmpty
neap.QueueEmpty = {}

---@class neap.QueueFull: neap.Error
---@overload fun(message: any): neap.QueueFull
neap.QueueFull = {}

---@class neap.QueueShutDown: neap.Error
---@overload fun(message: any): neap.QueueShutDown
neap.QueueShutDown = {}

---@class neap.BrokenBarrierError: neap.Error
---@overload fun(message: any): neap.BrokenBarrierError
neap.BrokenBarrierError = {}

--- Whether an error is of a kind, or of one below it.
---@param err any
---@param kind neap.Error
---@return boolean
function neap.is(err, kind) end

---@type string
neap._VERSION = ""
