#include "core/watchdog.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/handle.h"
#include "core/poll.h"
#include "core/report.h"
#include "core/task.h"

enum {
  WATCHDOG_SIGNAL = SIGURG, /* ignored by default: one that comes late does no harm */
  TICKS_PER_LIMIT = 4,
  COUNT_WAITING = 1000,     /* instructions between looks whether the task can yield by now */
  HOOKS_KEPT = 4,
};

enum { HOLDER_CALLBACK = 0, HOLDER_UNKNOWN = -1 };

static const double LONGEST_S = 1e9;
static const int64_t SHORTEST_NS = 1000000; /* a limit, and a tick */
static const int64_t UNHEARD_NS = 2000000000;

/* What stood in a coroutine in place of our hook. The coroutine is known by its address alone: it may be
 * gone by now. */
struct displaced {
  lua_State *L;
  lua_Hook hook;
  int mask;
  int count;
};

/* Exists from the first start to the runtime's end, for the sake of hooks that come late. */
struct watchdog {
  struct neap *rt;
  struct watchdog *next; /* of this thread's */
  bool on;
  bool preempts;
  int64_t limit;         /* in nanoseconds, like all its times */
  uv_thread_t watcher;
  pthread_t watched;
  uv_mutex_t lock;
  uv_cond_t wake;        /* signalled for [stopping], and for [busy] when the watcher is [resting] */
  bool stopping;         /* under [lock] */

  atomic_bool busy;      /* steps are running */
  atomic_bool resting;   /* the watcher waits until they are */

  /* Set by the watcher, taken back by it or by the hook that has come through. */
  atomic_bool asked;
  atomic_uint asked_step;
  _Atomic int64_t asked_since; /* when that step was first seen */
  _Atomic int64_t holder;      /* set by the signal handler: a task's id, or HOLDER_* */

  /* Of the loop's thread alone, in which the signal handler runs too. */
  volatile sig_atomic_t in_hook; /* the handler keeps its hands off */
  bool is_overdue;
  unsigned overdue;              /* the step that is to yield */
  unsigned last;                 /* of [displaced] */
  struct displaced displaced[HOOKS_KEPT];
};

/* What the watcher knows of the step that it saw last. */
struct watch {
  unsigned step;
  int64_t since;
  int64_t due;  /* how long it may last before the next notice */
  int64_t asked_at;
  bool asking;
  bool told;    /* by the watcher itself */
};

/* Its changes order nothing else: relaxed. */
static unsigned current_step(const struct watchdog *dog) {
  return atomic_load_explicit(&dog->rt->steps, memory_order_relaxed);
}

/* --- arming: runs in the signal handler too --- */

static void on_hook(lua_State *L, lua_Debug *ar);

static struct displaced *find(struct watchdog *dog, lua_State *L) {
  for (int i = 0; i < HOOKS_KEPT; i++)
    if (dog->displaced[i].L == L) return &dog->displaced[i];
  return NULL;
}

static struct displaced *displace(struct watchdog *dog, lua_State *L) {
  struct displaced *user = find(dog, L);
  if (user && lua_gethook(L) == on_hook) return user;
  if (!user) user = &dog->displaced[dog->last = (dog->last + 1) % HOOKS_KEPT];
  *user = (struct displaced){L, lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L)};
  if (user->hook == on_hook) user->hook = NULL, user->mask = 0;
  return user;
}

static void arm(struct watchdog *dog, lua_State *L, int count) {
  const struct displaced *user = displace(dog, L);
  lua_sethook(L, on_hook, user->mask | LUA_MASKCOUNT, count);
}

static void disarm(struct displaced *user, lua_State *L) {
  lua_sethook(L, user->hook, user->mask, user->count);
  if (user->L == L) user->L = NULL;
}

/* --- the signal --- */

/* A signal's handler is the process's, and gets no context: hence these. */
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static struct sigaction previous;
static uv_key_t dogs_key; /* the list of this thread's watchdogs */
static uv_once_t once = UV_ONCE_INIT;
static int key_status;

static void make_key(void) { key_status = uv_key_create(&dogs_key); }

static void arm_running(struct watchdog *dog) {
  struct neap *rt = dog->rt;
  atomic_store(&dog->holder, rt->current ? rt->current->runnable.id : HOLDER_CALLBACK);
  if (dog->in_hook) return;
  arm(dog, rt->active ? rt->active : rt->L, 1);
}

static void on_signal(int number, siginfo_t *info, void *context) {
  bool ours = false;
  int saved = errno;
  for (struct watchdog *dog = uv_key_get(&dogs_key); dog; dog = dog->next) {
    if (!atomic_load(&dog->asked)) continue;
    ours = true;
    arm_running(dog);
  }
  if (!ours && (previous.sa_flags & SA_SIGINFO))
    previous.sa_sigaction(number, info, context);
  else if (!ours && previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
    previous.sa_handler(number);
  errno = saved;
}

static void use_signal(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  pthread_mutex_lock(&users_lock);
  if (users++ == 0) sigaction(WATCHDOG_SIGNAL, &action, &previous);
  pthread_mutex_unlock(&users_lock);
}

/* A handler that another has set since is left alone. */
static void unuse_signal(void) {
  struct sigaction now;
  pthread_mutex_lock(&users_lock);
  if (--users == 0 && !sigaction(WATCHDOG_SIGNAL, NULL, &now) && now.sa_sigaction == on_signal)
    sigaction(WATCHDOG_SIGNAL, &previous, NULL);
  pthread_mutex_unlock(&users_lock);
}

/* --- the hook --- */

/* "1.2 s" */
static void format_seconds(char *text, size_t size, int64_t ns) {
  double seconds = (double)ns / 1e9;
  snprintf(text, size, "%.*f s", seconds < 1 ? 3 : 1, seconds);
}

/* Pushes the traceback of all that runs: the coroutine [L] and, below it, the task that resumed it. */
static void push_traceback(lua_State *L, struct task *task) {
  luaL_traceback(L, L, NULL, 1);
  if (!task || task->L == L) return;
  luaL_traceback(L, task->L, "\nin a coroutine that the task resumed", 0);
  lua_concat(L, 2);
}

/* (rt, message) */
static int notice(lua_State *L) {
  struct neap *rt = lua_touserdata(L, 1);
  const char *name = NULL;
  luaL_checkstack(L, 16, "not enough memory");
  push_traceback(L, rt->current);
  if (rt->current) {
    task_push(L, rt->current);
    name = "task";
  } else if (handle_push_running(L, rt)) {
    name = "handle";
  }
  lua_pushvalue(L, 3);
  report_warning(L, rt, lua_touserdata(L, 2), name, 4);
  return 0;
}

static void give_notice(lua_State *L, struct neap *rt, int64_t held) {
  char seconds[32], message[128];
  struct task *task = rt->current;
  format_seconds(seconds, sizeof seconds, held);
  snprintf(message, sizeof message, "a %s has held the loop for %s", task ? "task" : "callback", seconds);
  if (task && task->preempted > 0)
    snprintf(message + strlen(message), sizeof message - strlen(message), ", preempted so far: %u",
             (unsigned)task->preempted);
  lua_pushcfunction(L, notice);
  lua_pushlightuserdata(L, rt);
  lua_pushlightuserdata(L, message);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
  fprintf(stderr, "neap: %s\n", message);
  lua_pop(L, 1);
}

static bool is_overdue(struct watchdog *dog) {
  return dog->is_overdue && dog->rt->current && dog->overdue == current_step(dog);
}

/* A task that is preempted time and again is told of the 1st, 2nd, 4th, 8th ... time; a step that cannot be
 * preempted, whenever its time has doubled. */
static bool is_told(struct watchdog *dog, struct task *task) {
  if (!dog->preempts || !task || is_overdue(dog)) return true;
  return (task->preempted & (task->preempted + 1)) == 0;
}

/* Answers the watcher, if it has asked for the step that is running. */
static void answer(lua_State *L, struct watchdog *dog) {
  struct neap *rt = dog->rt;
  unsigned step = current_step(dog);
  if (!atomic_load(&dog->asked) || atomic_load(&dog->asked_step) != step) return;
  int64_t held = (int64_t)uv_hrtime() - atomic_load(&dog->asked_since);
  bool told = is_told(dog, rt->current);
  atomic_store(&dog->asked, false);
  dog->is_overdue = dog->preempts && rt->current;
  dog->overdue = step;
  poll_soon(rt); /* deadlines have passed meanwhile */
  if (told) give_notice(L, rt, held);
}

/* Only out of the task's own thread: a coroutine of the user's would seem to have yielded. And not out of
 * neap's own Lua code, which counts on running undisturbed from one await to the next. */
static bool can_yield(struct neap *rt, lua_State *L, lua_Debug *ar) {
  if (L != rt->current->L || rt->active != L || !lua_isyieldable(L)) return false;
  lua_getinfo(L, "S", ar);
  return !error_is_own(ar);
}

/* The step is to yield: now, or as soon as it can. Where there is a line hook, Lua would call that in a
 * coroutine that has yielded already, were it not for the line event that this is done in. */
static void preempt(lua_State *L, struct watchdog *dog, struct displaced *user, lua_Debug *ar) {
  struct task *task = dog->rt->current;
  int event = user->mask & LUA_MASKLINE ? LUA_HOOKLINE : LUA_HOOKCOUNT;
  if (ar->event == event && can_yield(dog->rt, L, ar)) {
    disarm(user, L);
    task->preempted++;
    lua_yield(L, 0);
    return;
  }
  if (L != task->L) disarm(user, L);
  if (L != task->L || lua_gethookcount(L) == 1)
    arm(dog, task->L, user->mask & LUA_MASKCOUNT ? user->count : COUNT_WAITING);
}

static void look(lua_State *L, struct watchdog *dog, struct displaced *user, lua_Debug *ar) {
  if (ar->event == LUA_HOOKCOUNT) answer(L, dog);
  if (lua_gethook(L) != on_hook) return; /* the exception handler has set another */
  if (is_overdue(dog))
    preempt(L, dog, user, ar);
  else if (ar->event == LUA_HOOKCOUNT)
    disarm(user, L);
}

/* A coroutine that was made by one with our hook has inherited that. */
static void on_hook(lua_State *L, lua_Debug *ar) {
  struct neap *rt = runtime_get(L);
  struct watchdog *dog = rt ? rt->watchdog : NULL;
  if (!dog) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  struct displaced *user = find(dog, L);
  if (!user) user = &dog->displaced[dog->last];
  if (user->hook && (ar->event != LUA_HOOKCOUNT || (user->mask & LUA_MASKCOUNT))) user->hook(L, ar);
  if (lua_gethook(L) != on_hook || lua_status(L) != LUA_OK) return;
  dog->in_hook = 1;
  look(L, dog, user, ar);
  dog->in_hook = 0;
}

/* --- the watcher, in its own thread --- */

/* Control has not come back to Lua code that we can stop: nothing but the name can be told. */
static void tell(struct watchdog *dog, int64_t held) {
  char line[128], seconds[32], name[32];
  int64_t id = atomic_load(&dog->holder);
  format_seconds(seconds, sizeof seconds, held);
  snprintf(name, sizeof name, id > 0 ? "Task-%u" : id == HOLDER_CALLBACK ? "a callback" : "something",
           (unsigned)id);
  snprintf(line, sizeof line, "neap: %s has held the loop for %s in a C function\n", name, seconds);
  if (write(STDERR_FILENO, line, strlen(line)) < 0) return;
}

/* That a signal has not even arrived means, for a while, no more than a machine with much to do. */
static int64_t patience(struct watchdog *dog) {
  if (atomic_load(&dog->holder) != HOLDER_UNKNOWN || dog->limit > UNHEARD_NS) return dog->limit;
  return UNHEARD_NS;
}

/* Asks the loop's thread to look at what it does; again and again, since a coroutine may end or be left
 * before its hook is called. */
static void ask(struct watchdog *dog, struct watch *watch, int64_t now) {
  if (!watch->asking) {
    watch->asking = true;
    watch->told = false;
    watch->asked_at = now;
    atomic_store(&dog->asked_since, watch->since);
    atomic_store(&dog->asked_step, watch->step);
    atomic_store(&dog->holder, HOLDER_UNKNOWN);
    atomic_store(&dog->asked, true);
  } else if (!watch->told && now - watch->asked_at >= patience(dog)) {
    watch->told = true;
    tell(dog, now - watch->since);
  }
  pthread_kill(dog->watched, WATCHDOG_SIGNAL);
}

/* Until the loop has work again nobody needs waking. */
static void rest(struct watchdog *dog) {
  atomic_store(&dog->resting, true);
  while (!atomic_load(&dog->busy) && !dog->stopping) uv_cond_wait(&dog->wake, &dog->lock);
  atomic_store(&dog->resting, false);
}

static void look_at_loop(struct watchdog *dog, struct watch *watch) {
  unsigned step = current_step(dog);
  bool busy = atomic_load(&dog->busy);
  if (step != watch->step || !busy) {
    atomic_store(&dog->asked, false);
    if (step == watch->step) rest(dog); /* a whole tick went by idly */
    *watch = (struct watch){.step = current_step(dog), .since = (int64_t)uv_hrtime(), .due = dog->limit};
    return;
  }
  int64_t now = (int64_t)uv_hrtime();
  if (watch->asking && !atomic_load(&dog->asked)) {
    watch->asking = false;
    while (watch->due <= now - watch->since) watch->due *= 2;
  }
  if (watch->asking || now - watch->since >= watch->due) ask(dog, watch, now);
}

static void watch_loop(void *argument) {
  struct watchdog *dog = argument;
  struct watch watch = {.due = dog->limit, .since = (int64_t)uv_hrtime()};
  int64_t tick = dog->limit / TICKS_PER_LIMIT;
  if (tick < SHORTEST_NS) tick = SHORTEST_NS;
  uv_mutex_lock(&dog->lock);
  while (!dog->stopping) {
    look_at_loop(dog, &watch);
    if (!dog->stopping) uv_cond_timedwait(&dog->wake, &dog->lock, (uint64_t)tick);
  }
  uv_mutex_unlock(&dog->lock);
}

void watchdog_mark(struct watchdog *dog, bool busy) {
  if (busy) runtime_count_step(dog->rt);
  atomic_store(&dog->busy, busy);
  if (!busy || !atomic_load(&dog->resting)) return;
  uv_mutex_lock(&dog->lock);
  uv_cond_signal(&dog->wake);
  uv_mutex_unlock(&dog->lock);
}

/* --- switching it on and off --- */

static struct watchdog *get(struct neap *rt) {
  if (rt->watchdog) return rt->watchdog;
  struct watchdog *dog = memory_calloc(rt->memory, 1, sizeof *dog);
  if (!dog) return NULL;
  uv_mutex_init(&dog->lock);
  uv_cond_init(&dog->wake);
  dog->rt = rt;
  return rt->watchdog = dog;
}

/* Signals are for the threads that were there before. */
static int start_watcher(struct watchdog *dog) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int status = uv_thread_create(&dog->watcher, watch_loop, dog);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return status;
}

int watchdog_start(struct neap *rt, double limit, bool preempts) {
  watchdog_stop(rt);
  uv_once(&once, make_key);
  struct watchdog *dog = key_status ? NULL : get(rt);
  if (!dog) return UV_ENOMEM;
  dog->limit = (int64_t)(fmin(limit, LONGEST_S) * 1e9);
  if (dog->limit < SHORTEST_NS) dog->limit = SHORTEST_NS;
  dog->preempts = preempts;
  dog->stopping = false;
  dog->watched = pthread_self();
  atomic_store(&dog->busy, rt->running && !rt->asleep);
  int status = start_watcher(dog);
  if (status) return status;
  dog->on = true;
  dog->next = uv_key_get(&dogs_key);
  uv_key_set(&dogs_key, dog);
  use_signal();
  return 0;
}

static void unlink_dog(struct watchdog *dog) {
  struct watchdog *first = uv_key_get(&dogs_key);
  if (first == dog) {
    uv_key_set(&dogs_key, dog->next);
    return;
  }
  while (first && first->next != dog) first = first->next;
  if (first) first->next = dog->next;
}

void watchdog_stop(struct neap *rt) {
  struct watchdog *dog = rt->watchdog;
  if (!dog || !dog->on) return;
  uv_mutex_lock(&dog->lock);
  dog->stopping = true;
  uv_cond_signal(&dog->wake);
  uv_mutex_unlock(&dog->lock);
  uv_thread_join(&dog->watcher);
  dog->on = false;
  dog->is_overdue = false;
  atomic_store(&dog->asked, false);
  unlink_dog(dog);
  unuse_signal();
}

void watchdog_free(struct neap *rt) {
  struct watchdog *dog = rt->watchdog;
  if (!dog) return;
  watchdog_stop(rt);
  rt->watchdog = NULL;
  uv_cond_destroy(&dog->wake);
  uv_mutex_destroy(&dog->lock);
  memory_free(dog);
}
