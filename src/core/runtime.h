/* The runtime: one Lua state, one libuv loop, one thread. Everything of neap hangs on this
 * struct; there are no globals, but for one in each thread that says which runtime it runs. */
#ifndef NEAP_CORE_RUNTIME_H
#define NEAP_CORE_RUNTIME_H

#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/pool.h"
#include "core/anchor.h"
#include "core/blocked.h"
#include "core/clock.h"
#include "core/object.h"

struct ceiling;
struct driver;
struct interests;
struct limits;
struct neap_port;
struct op;
struct task;
struct watchdog;

/* What stands in the ready queue: a task to resume, a callback to call, what another thread has posted, or
 * the mark behind what was ready when the turn began. */
enum runnable_kind { RUN_TASK, RUN_CALLBACK, RUN_POST, RUN_TURN_END };

struct runnable {
  struct runnable *next;
  uint8_t kind;
  bool queued;
  uint16_t budget; /* of a task: awaits that may pass without suspending before it yields once */
  uint32_t id;     /* of a task: the N of Task-N, in order of creation */
};

/* What has libuv handles open. [close] begins their close, once, at the runtime's end; the memory is
 * freed by the last close callback. On a loop of the runtime's own it may first send what is queued,
 * and counts itself in [flushing] meanwhile. Whoever closes by itself unlinks it. */
struct resource {
  struct list link; /* in rt->resources */
  void (*close)(struct neap *rt, struct resource *resource);
  bool no_handle;   /* it is closed with the rest, but is not one that limits count */
};

struct neap {
  lua_State *L;
  uv_loop_t *loop;
  bool owns_loop;
  struct neap_port *port;  /* what other threads may touch */
  struct driver *driver;   /* on a loop that is not its own */
  struct memory *memory;   /* neap's own blocks; with a limit on it, Lua's too: see ceiling.h */
  struct ceiling *ceiling; /* NULL: no limit of memory */
  struct limits *limits;   /* NULL: none at all */
  int gc_pause;            /* that collector_pace has set; 0: it keeps its hands off */
  bool closed;

  struct runnable *ready_head;
  struct runnable *ready_tail;
  struct runnable turn_end;
  struct heap timers;
  struct clock clock;
  uint64_t seed;           /* of the order of the tasks in a turn; 0: first in, first out */
  uv_timer_t *uv_timer;    /* the one timer that libuv sees; unreferenced while it is not armed */
  int64_t last_poll;
  int64_t last_tick;       /* of the coarse clock, at the last poll */
  atomic_uint steps;       /* that were run; written by the loop's thread, read by the watchdog's */
  unsigned polled_steps;   /* as many when libuv was last asked */
  unsigned turns;          /* since virtual time last moved */
  struct blocked_watch blocked; /* those who wait until all others are blocked */

  struct task *current;    /* whose step is running; NULL in callbacks and outside the loop */
  lua_State *active;       /* the innermost coroutine that may await: the task's own, or a user's */
  bool barrier;            /* some resumer between the task and [active] cannot yield */
  bool suspending;         /* the yield that just happened is an await on its way to the loop */
  unsigned parked;         /* how often a user coroutine was parked: see coroutine.c */
  bool installed;          /* user code cannot get at a task's coroutine behind our back */
  struct task *cancel_next; /* whom an op that is being cancelled waits for: see scope_refresh */
  unsigned kills;          /* that are going on, one inside the other */
  struct task *dying;      /* whose coroutine the innermost of them closes */

  struct task *main;       /* who gets DeadlockError: what a run was started for */
  struct task *body;       /* the script's, in the neap command: a run in it awaits */
  bool running;            /* inside runtime_run */
  struct neap *outer;      /* then: the runtime, if any, inside a run of which that is */
  bool asleep;             /* inside a uv_run that may block: what becomes ready must end that */
  bool poll_expired;       /* the last such uv_run was ended by its time */
  bool stop;               /* asked for by loop:stop */
  bool used;               /* a script has loaded the module */
  bool expects_posts;      /* run_forever waits for what other threads post */
  lua_CFunction prepare;   /* the program's, for the new state of each thread; or NULL */
  bool ends_process;       /* os.exit may, where nothing can be unwound */
  bool exiting;            /* asked for by os.exit, with a code */
  int exit_code;
  void (*loop_closed)(lua_State *L); /* ends what hangs on a loop object, when that is closed; or NULL */
  struct op *forever;      /* the run_forever that the body awaits */
  bool debug;
  int64_t slow_ns;         /* in debug mode: steps that take longer are reported */
  pthread_t thread;        /* that runs it */
  bool has_contexts;       /* a context variable was set somewhere */
  struct watchdog *watchdog; /* NULL until it is first switched on */
  unsigned unread;         /* failed futures that were collected and wait to be reported */
  unsigned reported;       /* errors that went to the default exception handler */

  struct list tasks;       /* all that have not ended, in order of creation */
  uint32_t task_count;
  uint32_t last_task_id;
  unsigned untold;         /* tasks, whose end a host has yet to be told */
  unsigned unretrieved;    /* failed futures whose error nobody has read */
  lua_Integer failures;    /* futures that have failed */
  lua_Integer failures_told; /* so many of them, in order, were read, reported or collected */
  struct list all_scopes;
  struct list scopes;      /* scopes of user coroutines that are not being run, see scope.c */
  struct list resources;   /* what must be closed before the loop can be */
  struct interests *interests; /* in descriptors, see io/interest.h; NULL until there is one */
  struct list works;       /* what libuv's threads do for it, see work.h */
  bool pool_used;          /* they have been started */
  unsigned flushing;       /* closed streams that still send: the runtime's end waits for them */

  struct anchors anchors;
  struct idle_coroutine *idle; /* ended coroutines, to be reused */
  unsigned idle_count;
  struct pool pool;
  const char *kind_names[OBJECT_KINDS];
  int metatables[OBJECT_KINDS]; /* registry references */
};

/* The runtime of a C function made with it as its first upvalue: all of neap's are. */
static inline struct neap *runtime_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

/* The task that is being killed, or whose step it is; NULL in callbacks and outside the loop. <close>
 * variables of the first run while the second is [current]. */
static inline struct task *runtime_subject(struct neap *rt) { return rt->dying ? rt->dying : rt->current; }

/* Pushes the userdata that the runtime of this state lives in, or nil. Functions of neap hold it as
 * an upvalue, so that its memory outlives them even when it was freed. */
void runtime_push(lua_State *L);

/* The runtime of this state, or NULL. */
struct neap *runtime_get(lua_State *L);

/* Makes a runtime in [L]; [loop] may be NULL for one of its own. Raises for want of memory. */
struct neap *runtime_new(lua_State *L, uv_loop_t *loop);

/* Ends every task (cancel, then kill), closes what is open, and frees all. Awaits nothing. */
void runtime_free(struct neap *rt);

/* How many runtimes of the process have left their loop to calls of the system, in libuv's threads, that had not come
 * back after some seconds. As long as those do not, the process cannot end by exit(3). */
unsigned runtime_left_blocked(void);

static inline unsigned runtime_steps(struct neap *rt) {
  return atomic_load_explicit(&rt->steps, memory_order_relaxed);
}

/* No exchange: nobody else writes it. */
static inline void runtime_count_step(struct neap *rt) {
  atomic_store_explicit(&rt->steps, runtime_steps(rt) + 1, memory_order_relaxed);
}

void runtime_make_ready(struct neap *rt, struct runnable *runnable);

/* Where a run, a step or a turn begins and ends; one may stand inside another. Entering fails, and returns
 * false, without Lua stack for it. */
bool runtime_enter(struct neap *rt);
void runtime_leave(struct neap *rt, bool was_running);

int runtime_refuse_thread(lua_State *L);

/* Raises when the loop is running in another thread. */
static inline void runtime_check_thread(lua_State *L, struct neap *rt) {
  if (rt->running && !pthread_equal(pthread_self(), rt->thread)) runtime_refuse_thread(L);
}

/* The same, and when the runtime is closed. */
void runtime_check_open(lua_State *L, struct neap *rt, const char *call);

#endif
