std = "lua54"
max_line_length = 120
exclude_files = { "build" }
files["spec"] = { std = "+busted" }
files["spec/hosts"] = { read_globals = { "folder", "guard", "operation", "promise", "spawn" } }

-- luacheck takes a <close> variable that is never read for an unused one.
ignore = { "211" }
