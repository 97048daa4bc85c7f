-- What is measured, and the project's goals for it.
--
-- A row is one program of every contestant (or, for "start", one command line). It reports
-- figures; a figure has
--   key        its name in the program's output
--   what       its name in the table, the unit last
--   floor      where there is no floor: the figure of neap's own that stands in its place
--   more       true where more is better
--   goal       what the ratio to the floor, or the figure itself, should be: see goals.lua
--   ahead_of   the peers that neap should be ahead of: a list, or "every"
--   times      the peers that it may be worse than, and how many times at most: {go = 1.5}
--   asyncio    how many times as good as asyncio's it should be
-- A row with `threads` runs on all cores; one with `no_malloc_cache` without what malloc keeps at hand for
-- each thread, some 90 KB, which it counts as handed out.
-- Every figure with a `what` should also be ahead of uvloop's.
local in_lua_or_node = {"luv", "luv-jit", "cqueues", "node"}

local rows = {
  {
    name = "switch",
    {key = "switch_ns", what = "sleep(0), 1,000 tasks, ns", goal = {at_most = 1.3}, asyncio = 10},
    {key = "switch_alone_ns", what = "sleep(0), one task, ns", goal = {at_most = 2}, asyncio = 10},
  },
  {
    name = "spawn",
    {key = "spawn_ns", what = "create and await, ns", goal = {below = 1}, asyncio = 10},
  },
  {
    name = "sleepers",
    {key = "sleepers_cpu_us", what = "making one, CPU us", asyncio = 10},
    {key = "sleepers_rss_bytes", what = "resident at the peak, bytes", goal = {at_most = 1.15}},
    {key = "sleepers_malloc_bytes", what = "malloc, Lua's too, bytes", goal = {at_most = 1.15}},
    {key = "sleepers_lua_bytes", what = "Lua's count, bytes"},
    {key = "sleepers_left_bytes", what = "left when all ended, bytes", goal = {under = 1}},
  },
  {
    name = "timers",
    {key = "timers_cpu_us", what = "random sleep, CPU us", ahead_of = "every", asyncio = 10},
  },
  {
    name = "cancel",
    {key = "cancel_cpu_us", what = "cancel / make, CPU us", floor = "cancel_make_cpu_us",
      ahead_of = "every", asyncio = 10},
    {key = "cancel_whole_cpu_us", what = "make and cancel, CPU us", ahead_of = "every", asyncio = 10},
  },
  {
    name = "queue",
    {key = "queue_1_ns", what = "capacity 1, ns an item",
      ahead_of = in_lua_or_node, times = {go = 1.5}, asyncio = 10},
    {key = "queue_128_ns", what = "capacity 128, ns an item",
      ahead_of = in_lua_or_node, times = {go = 1.5}, asyncio = 10},
  },
  {
    name = "locks",
    {key = "lock_ns", what = "lock and unlock, ns", ahead_of = {"asyncio"}},
    {key = "semaphore_ns", what = "acquire and release, ns", ahead_of = {"asyncio"}},
  },
  {
    name = "memory", no_malloc_cache = true,
    {key = "memory_malloc_left_kb", what = "left, malloc, Lua's too, KB", goal = {under = 100}},
    {key = "memory_lua_left_kb", what = "left, Lua's count, KB", goal = {under = 100}},
  },
  {
    name = "echo",
    {key = "echo_64_requests_per_s", what = "64 B, requests/s", more = true,
      goal = {at_least = 0.9}, ahead_of = {"go", "luv", "luv-jit"}},
    {key = "echo_64_server_cpu_us", what = "64 B, server CPU us"},
    {key = "echo_16384_requests_per_s", what = "16 KiB, requests/s", more = true,
      goal = {at_least = 0.9}, ahead_of = {"go", "luv", "luv-jit"}},
    {key = "echo_16384_server_cpu_us", what = "16 KiB, server CPU us"},
  },
  {
    name = "tls_echo",
    {key = "tls_echo_64_requests_per_s", what = "64 B, requests/s", more = true, goal = {at_least = 0.85}},
    {key = "tls_echo_64_server_cpu_us", what = "64 B, server CPU us"},
    {key = "tls_echo_16384_requests_per_s", what = "16 KiB, requests/s", more = true, goal = {at_least = 0.85}},
    {key = "tls_echo_16384_server_cpu_us", what = "16 KiB, server CPU us"},
  },
  {
    name = "start",
    {key = "start_ms", what = "start to end, ms", goal = {over_floor = 3, unit = "ms"}},
    {key = "start_peak_rss_kb", what = "resident at the peak, KB"},
    {key = "rest_rss_kb", what = "resident at rest, KB"},
    {key = "rest_private_kb", what = "private at rest, KB", goal = {over_floor = 150, unit = "KB"}},
    {key = "rest_malloc_kb", what = "malloc at rest, KB"},
  },
  {
    name = "host", threads = true,
    {key = "host_at_once_ns", what = "C, done at once, CPU ns", goal = {at_most = 2}},
    {key = "host_worker_us", what = "C, done in a thread, us"},
    {key = "host_worker_cpu_us", what = "C, done in a thread, CPU us"},
  },
  {
    name = "post", threads = true,
    {key = "post_us", what = "one by one, us"},
    {key = "post_cpu_us", what = "one by one, CPU us"},
    {key = "post_burst_ns", what = "a million, ns each"},
    {key = "post_burst_cpu_ns", what = "a million, CPU ns each"},
  },
  {
    name = "channel", threads = true,
    {key = "channel_128_ns", what = "128, integers, ns"},
    {key = "channel_128_cpu_ns", what = "128, integers, CPU ns"},
    {key = "channel_128_text_ns", what = "128, 64 B, ns"},
    {key = "channel_128_text_cpu_ns", what = "128, 64 B, CPU ns"},
    {key = "channel_0_ns", what = "no limit, integers, ns", ahead_of = {"node"}},
    {key = "channel_0_cpu_ns", what = "no limit, integers, CPU ns", ahead_of = {"node"}},
    {key = "channel_0_text_ns", what = "no limit, 64 B, ns", ahead_of = {"node"}},
    {key = "channel_0_text_cpu_ns", what = "no limit, 64 B, CPU ns", ahead_of = {"node"}},
    {key = "channel_ping_us", what = "to and fro, us", ahead_of = {"node"}},
    {key = "channel_ping_cpu_us", what = "to and fro, CPU us", ahead_of = {"node"}},
  },
  {
    name = "cores", threads = true,
    {key = "cores_times", what = "apart / at once, time", more = true, goal = {over = 1.8}},
    {key = "cores_cpu_times", what = "at once / apart, CPU"},
  },
  {
    name = "processes", threads = true,
    {key = "processes_us", what = "true, one by one, us", goal = {at_most = 1.1}},
    {key = "processes_cpu_us", what = "true, one by one, CPU us"},
    {key = "processes_at_once_us", what = "true, 100 at once, us", goal = {at_most = 1.1}},
    {key = "processes_at_once_cpu_us", what = "true, 100 at once, CPU us"},
    },
    {
    name = "file", threads = true,
    {key = "file_read_mb_per_s", what = "reading 1 GiB, MB/s", more = true, goal = {at_least = 0.8}},
    {key = "file_read_cpu_us", what = "reading, CPU us a MB"},
    {key = "file_copy_mb_per_s", what = "copying 1 GiB, MB/s", more = true, goal = {at_least = 0.8}},
    {key = "file_copy_cpu_us", what = "copying, CPU us a MB"},
  },
  {
    name = "size", no_malloc_cache = true,
    {key = "size_library_kb", what = "libneap.so, stripped, KB"},
    {key = "size_code_kb", what = "its code and constants, KB"},
    {key = "size_runtime_kb", what = "a runtime, malloc, KB", goal = {under = 150}},
    {key = "size_module_kb", what = "with the module, malloc, KB"},
    {key = "size_thread_kb", what = "a thread, malloc, KB", goal = {under = 150}},
  },
}

return rows
