/* neap: an async runtime for Lua 5.4 on libuv. This is the only public header.
 *
 * A runtime is one Lua state, one libuv loop and one thread. Runtimes share nothing, so a process
 * may have as many as it likes, each in a thread of its own. neap installs no signal handlers,
 * writes nothing to stdout, and never exits the process.
 *
 *     neap_t *neap = neap_new(NULL);
 *     lua_State *L = neap_state(neap);
 *     if (luaL_loadfile(L, "script.lua") == LUA_OK && neap_spawn(neap, 0) == LUA_OK) {
 *       neap_run(neap, NEAP_UNTIL_MAIN);
 *       if (neap_result(neap) != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
 *       neap_run(neap, NEAP_UNTIL_DONE);
 *     }
 *     neap_free(neap);
 *
 * libuv does not ignore SIGPIPE: a program that writes to sockets should. */
#ifndef NEAP_H
#define NEAP_H

#include <lua.h>
#include <uv.h>

#define NEAP_API __attribute__((visibility("default")))

#define NEAP_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct neap neap_t;

typedef struct neap_config {
  int ignore_environment; /* Lua does not look at LUA_PATH, LUA_CPATH and the like */
} neap_config;

typedef enum neap_run_mode {
  NEAP_UNTIL_DONE, /* until no task is left */
  NEAP_UNTIL_MAIN  /* until the task that was spawned last has ended */
} neap_run_mode;

/* What ended a run. */
typedef enum neap_run_result {
  NEAP_DONE,     /* what was waited for */
  NEAP_STOPPED,  /* a script's loop:stop() */
  NEAP_DEADLOCKED /* tasks wait, and nothing in the process can wake any; a message is on the stack */
} neap_run_result;

/* Makes a runtime with a Lua state and a loop of its own. All of Lua's libraries are open,
 * `require "neap"` works, and coroutines can await inside tasks. [config] may be NULL, for zeros.
 * Returns NULL without memory. */
NEAP_API neap_t *neap_new(const neap_config *config);

/* The runtime's Lua state and loop, which belong to it. */
NEAP_API lua_State *neap_state(neap_t *neap);
NEAP_API uv_loop_t *neap_loop(neap_t *neap);

/* Pops a function and its [nargs] arguments, and makes the main task of them, which starts in the
 * next run: the one that gets DeadlockError. Pushes nothing and returns LUA_OK; or returns
 * LUA_ERRMEM with a message on the stack. */
NEAP_API int neap_spawn(neap_t *neap, int nargs);

/* Runs tasks, on the calling thread. Not to be called from inside a run. */
NEAP_API neap_run_result neap_run(neap_t *neap, neap_run_mode mode);

/* How the task that was spawned last ended: LUA_OK and its values on the stack, or LUA_ERRRUN and
 * the error below its traceback (nil if it has none); LUA_YIELD, and nothing, while it has not. */
NEAP_API int neap_result(neap_t *neap);

/* Asks every task to end. Safe in a libuv callback; not in other threads or in signal handlers. */
NEAP_API void neap_cancel_all(neap_t *neap);

/* Reports every error that nobody has read, and returns how many the default handler has got so far. */
NEAP_API unsigned neap_report_errors(neap_t *neap);

/* Time that jumps to the next deadline when nothing is ready. */
NEAP_API void neap_use_virtual_clock(neap_t *neap);

/* Ends every task (their <close> variables run, without awaiting), closes every handle, and frees
 * the state and the loop. NULL is allowed. */
NEAP_API void neap_free(neap_t *neap);

/* Opens the module in any Lua 5.4 state: what `require "neap"` calls. The state's runtime is freed
 * with the state. */
NEAP_API int luaopen_neap(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
