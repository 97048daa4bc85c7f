/* neap: an async runtime for Lua 5.4 on libuv. This is the only public header, and the manual of
 * embedding: read it from top to bottom. The smallest host:
 *
 *     int main(int argc, char **argv) {
 *       neap_t *neap = neap_new(NULL);
 *       if (!neap) return 1;
 *       int status = neap_dofile(neap, argv[1]);
 *       if (status == LUA_ERRRUN) fprintf(stderr, "%s\n", lua_tostring(neap_state(neap), -1));
 *       neap_free(neap);
 *       return status == LUA_ERRRUN;
 *     }
 *
 * A runtime is one Lua state, one libuv loop, and one thread at a time. Runtimes share nothing, so a
 * process may have as many as it likes. neap writes nothing to stdout, never ends the process, and installs
 * no signal handlers, unless a script asks for them (neap.signal, loop:set_watchdog).
 *
 * Threads: neap_post and neap_complete may be called from any thread. All else belongs to the thread
 * that runs the runtime; while none does, a runtime may move to another thread, as a Lua state may.
 *
 * Callbacks: what neap calls (C functions, those of an operation, [done], posts, on_report, allow_address)
 * may do all that the host may, but run, step or free the runtime. C functions, [push], [done] and posts may
 * raise Lua errors, the others must not. A callback that uses neap_state leaves its stack as it found it.
 *
 * Mistakes of the host (NULL, a runtime that was freed, another thread, an operation that is completed
 * twice) are refused where they are seen: the call does nothing but say so in one line on stderr, and
 * returns what it returns for a failure.
 *
 * Status codes are Lua's (LUA_OK, LUA_ERRRUN, ...) where Lua code was run, libuv's (0 or UV_E*)
 * elsewhere. libuv does not ignore SIGPIPE: a program that writes to sockets should. */
#ifndef NEAP_H
#define NEAP_H

#include <lua.h>
#include <stddef.h>
#include <uv.h>

#define NEAP_API __attribute__((visibility("default")))

#define NEAP_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct neap_port neap_t;

/* --- Making and freeing --- */

/* What the host is told of: an error that nobody has caught, or a warning. The strings are gone when
 * on_report returns. */
typedef struct neap_report {
  const char *message;   /* "a task failed (Task-2): app.lua:3: no such user" */
  const char *traceback; /* where it was raised, or NULL */
  const char *made_at;   /* the line that made the task or callback, or NULL */
  int is_warning;
} neap_report;

/* What scripts may use; 0 and NULL: no limit. docs/limits.md says what each of them holds against. */
typedef struct neap_limits {
  size_t memory;               /* bytes, Lua's and neap's own, while tasks run */
  double step_seconds;         /* between two awaits of a task */
  long long step_instructions; /* of Lua's machine, between two awaits */
  unsigned tasks;              /* that have not ended; what the host spawns between runs is not refused */
  unsigned handles;            /* of libuv: connections, servers, ... */

  /* Whether scripts may connect to, or listen at, an address. It may not call Lua. NULL: any; none if
   * [restricted]. */
  int (*allow_address)(void *user, const struct sockaddr *address, int listens);

  /* Scripts see only what cannot leave the state: no io, no debug, of os only clock, date, difftime and
   * time, no C modules, no binary chunks. `require` finds neap, and the Lua modules named in [modules],
   * by way of [path]. Not with a state of the host's. */
  int restricted;
  const char *const *modules; /* the last one is NULL */
  const char *path;           /* as package.path; NULL: "" */
} neap_limits;

/* All zeros is a runtime with a state and a loop of its own. */
typedef struct neap_config {
  /* A state of the host's. Its libraries stay as they are, but for the functions of `coroutine` and
   * `require`, inside which tasks may then await. NULL: a new one, with all of Lua's libraries, whose
   * os.exit ends the run and not the process. */
  lua_State *state;

  /* A loop of the host's: running it (uv_run) runs the tasks too. They keep it alive as handles do.
   * NULL: a new one. */
  uv_loop_t *loop;

  int ignore_environment; /* Lua does not look at LUA_PATH, LUA_CPATH and the like */
  int virtual_clock;      /* time jumps to the next deadline when nothing is ready: for tests */
  int expects_posts;      /* other threads may post at any time: to wait for that is no deadlock */

  neap_limits limits;

  /* Is told of the threads that scripts start, too, and always on the runtime's thread. NULL: reports go to
   * stderr. */
  void (*on_report)(void *user, const neap_report *report);
  void *user; /* is passed to it, and to allow_address */
} neap_config;

/* Makes a runtime. `require "neap"` works in its state, for which no file is needed. [config] may be
 * NULL, and is not needed afterwards. Returns NULL for want of memory, or if the state has a runtime. */
NEAP_API neap_t *neap_new(const neap_config *config);

/* Ends every task (their <close> variables run, and cannot await), reports errors that nobody has
 * read, closes every handle of neap's, and frees all that is not the host's. Threads of scripts are cancelled
 * and waited for: one that computes and never awaits is waited for until it is through.
 *
 * It may be called at any moment, whatever is under way, but not by what neap calls; a callback of the host's
 * own on its own loop may. On such a loop the memory of handles is freed when it next runs: free the runtime,
 * run the loop once more, then close it. Handles on it that are not the host's (uv_walk shows them) are
 * neap's to close. A state of the host's stays usable, and may get another runtime; one that is closed first
 * ends the runtime, and neap_free then lets go of what is left. NULL is allowed. */
NEAP_API void neap_free(neap_t *neap);

/* The runtime's Lua state and its loop. */
NEAP_API lua_State *neap_state(neap_t *neap);
NEAP_API uv_loop_t *neap_loop(neap_t *neap);

/* The bytes that the state and neap use now; what libuv and the C library allocate for themselves is not
 * known. */
NEAP_API size_t neap_memory(neap_t *neap);

/* The runtime of a state, which may be that of a coroutine; NULL if it has none. */
NEAP_API neap_t *neap_of(lua_State *L);

/* --- Calling Lua --- */

/* As lua_pcall, on the stack of the runtime's state, but the function may await: pops it with its
 * [nargs] arguments, and runs the loop until it has returned; other tasks go on meanwhile. Pushes all its
 * values and returns LUA_OK; or pushes the error and returns LUA_ERRRUN or LUA_ERRMEM, with the traceback
 * in [traceback], if that is not NULL, until the next call. Returns LUA_YIELD, with nothing pushed, when
 * os.exit has ended the run. After a mistake nothing is popped or pushed, and it returns LUA_ERRERR. An
 * error may be any value, and luaL_tolstring calls its __tostring: do that for a stranger's in a call. */
NEAP_API int neap_call(neap_t *neap, int nargs, const char **traceback);

/* Runs a program: loads the file, which must be text, calls it, and waits until the last of its tasks has
 * ended; if the file fails, the others are cancelled first. Its body is a task, in which those calls of
 * asyncio that run a loop await. Returns LUA_OK; LUA_YIELD after os.exit; or LUA_ERRRUN, whatever has
 * failed, and pushes a string that says what, with the traceback. */
NEAP_API int neap_dofile(neap_t *neap, const char *path);

/* A task that was made from C. */
typedef struct neap_task neap_task;

/* Is called once, on the runtime's thread, when the task has ended: its [count] values are on top of the
 * stack of [L], and status is LUA_OK; or the error is, status is not LUA_OK, and [traceback] says where it
 * was raised, or is NULL. The stack is cleared behind it; what lies below the values is not the host's. The
 * neap_task is not valid any more. If the runtime is freed first, [L] is NULL, status LUA_ERRRUN and
 * [count] 0. What it raises is reported. */
typedef void neap_done(lua_State *L, int status, int count, const char *traceback, void *user);

/* Pops a function and its [nargs] arguments from the stack of [L], the runtime's state or the one that a C
 * function was given, and makes a task of them, which starts with the next turn. [done] may be NULL: then
 * an error that nobody reads is reported, and the result is good for nothing but a comparison with NULL,
 * which it is for want of memory, and in a C function that a task calls over the limit of tasks. */
NEAP_API neap_task *neap_spawn(lua_State *L, int nargs, neap_done *done, void *user);

/* Asks the task to end: its awaits raise CancelledError. Not to be called once [done] was. A task that was
 * spawned without [done] cannot be cancelled so, since nobody knows when it ends. */
NEAP_API void neap_cancel(neap_task *task);

/* Asks all tasks to end. Safe in callbacks of libuv; not in other threads or in signal handlers. */
NEAP_API void neap_cancel_all(neap_t *neap);

/* --- Running ---
 *
 * Tasks run inside one of three things, whichever the host likes best: neap_run, which blocks; neap_step,
 * which does not, for hosts with a frame loop or a poll loop of their own; or uv_run on a loop that the
 * host has given. */

typedef enum neap_status {
  NEAP_DONE,       /* no task is left */
  NEAP_READY,      /* of neap_step: there is more to do at once */
  NEAP_WAITING,    /* of neap_step: tasks wait for time, I/O, or a thread */
  NEAP_DEADLOCKED, /* tasks wait, and nothing in the process can wake any */
  NEAP_STOPPED,    /* neap_stop, or loop:stop() in a script */
  NEAP_EXITED,     /* os.exit in a script */
  NEAP_REFUSED     /* a mistake of the host's */
} neap_status;

/* Runs until no task is left, until it is stopped, or until nothing can happen any more: then a report
 * names the tasks that wait. */
NEAP_API neap_status neap_run(neap_t *neap);

/* Runs what is ready, for about [seconds] at most, and does not block. A task that does not await in all
 * that time is not interrupted. After NEAP_DONE and NEAP_DEADLOCKED too the host may make tasks, and step
 * again; nothing is reported, since what the host does next may wake those that wait. */
NEAP_API neap_status neap_step(neap_t *neap, double seconds);

/* For a loop of another kind: poll this descriptor for reading, for at most so many milliseconds (-1: for
 * ever), then call neap_step. Valid after a neap_step, until anything else is done with the runtime. */
NEAP_API int neap_fd(neap_t *neap);
NEAP_API int neap_timeout(neap_t *neap);

/* Ends the neap_run or neap_step that is going on with the turn that is: from a callback or a C function.
 * Between runs it ends the next one so. neap_call and neap_dofile go on, and so does a loop of the host's,
 * which uv_stop ends. */
NEAP_API void neap_stop(neap_t *neap);

/* What os.exit was given, after NEAP_EXITED or LUA_YIELD. No task runs after that, and there is nothing left
 * to do but neap_free. Under uv_run on a loop of the host's the tasks stand still, and the next neap_step says
 * NEAP_EXITED. */
NEAP_API int neap_exit_code(neap_t *neap);

/* Reports every error that nobody has read. Else they are reported when their tasks are collected, which may
 * be late, and by neap_free. Returns how many errors were reported so far, but for those that went to a
 * handler of a script's. */
NEAP_API unsigned neap_report_errors(neap_t *neap);

/* --- C functions that await ---
 *
 * A C function that a task calls can suspend that task until something is done elsewhere. This one adds
 * in another thread:
 *
 *     struct add { neap_op op; double a, b; };
 *
 *     static int push_sum(lua_State *L, neap_op *op) {
 *       struct add *add = (struct add *)op;
 *       return lua_pushnumber(L, add->a + add->b), 1;
 *     }
 *
 *     static const neap_op_kind add_kind = {.name = "add", .size = sizeof(struct add), .push = push_sum};
 *
 *     static int l_add(lua_State *L) {
 *       double a = luaL_checknumber(L, 1), b = luaL_checknumber(L, 2);
 *       struct add *add = neap_begin(L, &add_kind);
 *       add->a = a, add->b = b;
 *       return neap_await(L, &add->op, start_worker(add)); // 0, or UV_E*
 *     }
 *
 *     static void in_the_worker(struct add *add) { neap_complete(&add->op, 0); }
 *
 * Check arguments first, then begin, then start, then await: between beginning and awaiting nothing may
 * raise. What an operation needs while it is under way belongs in its struct: once a task was cancelled its
 * arguments may be collected, although a worker is still busy. Each operation that was awaited is completed
 * exactly once, unless its [cancel] has said NEAP_GONE, and even after neap_free: one that never is keeps the
 * run waiting, and its memory. */

/* The beginning of a struct of the host's. */
typedef struct neap_op { void *reserved[12]; } neap_op;

/* What becomes of an operation whose task is cancelled. */
typedef enum neap_cancelled {
  NEAP_GONE,     /* it is stopped: neap_complete will not be called. The task is woken at once */
  NEAP_COMING,   /* neap_complete will follow soon, with UV_ECANCELED if it was stopped: wait for that */
  NEAP_ABANDONED /* neap_complete will follow some time; nobody waits for it */
} neap_cancelled;

/* What is the same for all operations of one function. It is not copied: make it static. */
typedef struct neap_op_kind {
  const char *name; /* as scripts know the function: for errors */
  size_t size;      /* of the struct; what follows its neap_op begins as zeros */

  /* Pushes what the function returns, and returns the count. NULL: nothing. It is not called after a negative
   * status: then the function returns nil, an error object and the code's name. It may also begin another
   * operation, which drops this one, and return its neap_await. */
  int (*push)(lua_State *L, neap_op *op);

  /* Is called at most once, on the runtime's thread, when the task is cancelled or killed, or the runtime
   * freed. Another thread may be completing the operation just then: a host that finds it nowhere any
   * more says NEAP_COMING. NULL: NEAP_ABANDONED. */
  neap_cancelled (*cancel)(neap_op *op);

  /* Releases what the struct holds: once, at the end, whatever happened; in the thread that completes it
   * when the runtime is gone by then. NULL: nothing. */
  void (*drop)(neap_op *op);
} neap_op_kind;

/* Returns a new operation of the running task. Raises a Lua error, with nothing begun, outside a task,
 * where Lua cannot yield, and when the task is cancelled. What it returns must be passed to neap_await by
 * this very call. */
NEAP_API void *neap_begin(lua_State *L, const neap_op_kind *kind);

/* Suspends the task until the operation is completed; a negative [status] means that it could not be
 * started: it is completed with that. To be returned. */
NEAP_API int neap_await(lua_State *L, neap_op *op, int status);

/* Completes an operation, from any thread, with 0 or UV_E*. The struct may be gone when it returns. */
NEAP_API void neap_complete(neap_op *op, int status);

/* Pushes nil, an error object and the code's name, as functions return them that failed in the outside
 * world: "operation target: message". [target] may be NULL. Returns 3. */
NEAP_API int neap_fail(lua_State *L, int status, const char *operation, const char *target);

/* A future that C completes, on the runtime's thread: another thread posts a function that does it. */
typedef struct neap_future neap_future;

/* Pushes a new Future, which scripts can await, and returns the handle to complete it with; NULL, with
 * nothing pushed, for want of memory. The loop is kept alive meanwhile. */
NEAP_API neap_future *neap_future_new(lua_State *L);

/* Completes it, with the [count] values on top of the stack of [L] if [status] is LUA_OK, or else with the
 * error there; pops them. [L] is a state of the runtime's. Each handle is to be settled once, which also
 * releases it; after neap_free, too, with [L] NULL and [count] 0. Returns whether the future was still pending:
 * a script may cancel it. */
NEAP_API int neap_settle(lua_State *L, neap_future *future, int status, int count);

/* --- Other threads --- */

/* Is called on the runtime's thread, in the order of posting among the loop's callbacks. What it raises is
 * reported. If the runtime is freed first, [neap] is NULL: release what [user] holds. */
typedef void neap_posted(neap_t *neap, void *user);

/* From any thread: wakes the loop, and lets it call [posted]. A run does not wait for posts that may yet
 * come, unless config.expects_posts says so or a neap_future is pending. Returns 0, UV_ENOMEM, UV_EINVAL, or
 * UV_ECANCELED when the runtime was freed, which is remembered for a while: that helps to find a thread that
 * outlives what it works for, and is nothing to build on. */
NEAP_API int neap_post(neap_t *neap, neap_posted *posted, void *user);

/* --- The module --- */

/* Opens the module in any Lua 5.4 state: what `require "neap"` calls in the stock interpreter. Its runtime
 * is freed with the state. */
NEAP_API int luaopen_neap(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
