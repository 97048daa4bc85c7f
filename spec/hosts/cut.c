/* The runtime of a busy host is freed at a moment when anything may be under way:
 *
 *     cut SCENARIO [STEP]     a script in spec/hosts/cut, cut after 0, STEP, ... 50 turns, in each of the modes
 *
 * and then nothing may be left of it, and all that is the host's must go on. */
#include <ftw.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counting.h"
#include "neap.h"

enum { TURNS = 50, WORKERS = 2, DETAILS = 10, SPAWNED_MOST = 50 };

/* Who owns what; and the host may close its state, which ends the runtime, before it frees that. */
static const struct mode {
  const char *name;
  bool state, loop, closes;
} modes[] = {
    {"nothing of the host's", false, false, false},
    {"a loop of the host's", false, true, false},
    {"a state of the host's", true, false, false},
    {"a state and a loop of the host's", true, true, false},
    {"a state of the host's, closed first", true, false, true},
    {"a state and a loop of the host's, closed first", true, true, true},
};

enum { MODES = sizeof modes / sizeof *modes };

/* How often things were begun, and how often what must then happen once has happened. */
struct count {
  const char *name, *end;
  atomic_int begun, ended;
  int total;
};

static struct count operations = {.name = "operations", .end = "dropped"};
static struct count posts = {.name = "posts", .end = "called"};
static struct count spawned = {.name = "spawned", .end = "told"};
static struct count guards = {.name = "guards", .end = "closed"};
static struct count *const counts[] = {&operations, &posts, &spawned, &guards};

enum { COUNTS = sizeof counts / sizeof *counts };

static atomic_bool is_over;   /* nothing of the host's may be called any more, but drop */
static atomic_int unposted;   /* promises whose thread has not posted yet */
static int bad;
static const char *now_playing = "at first";

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...) {
  va_list args;
  if (bad++ >= DETAILS) return;
  printf("  %s: ", now_playing);
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  putchar('\n');
}

static void called(const char *what) {
  if (is_over) complain("%s was called after the end", what);
}

/* --- a folder for what scenarios write, in memory if it can be: to sync takes a disk its time --- */

static char in_memory[] = "/dev/shm/neap-cut-XXXXXX", on_disk[] = "/tmp/neap-cut-XXXXXX";
static const char *folder;

static void make_folder(void) {
  folder = mkdtemp(in_memory);
  if (!folder && !(folder = mkdtemp(on_disk))) abort();
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place) {
  (void)info, (void)type, (void)place;
  return remove(path);
}

static void remove_folder(void) { nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS); }

/* --- threads that do what they are given, one after the other --- */

struct job {
  struct job *next;
  void (*run)(struct job *job);
};

static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct job *first, **last;
  bool closed;
  pthread_t threads[WORKERS];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void push_job(struct job *job, void (*run)(struct job *job)) {
  job->run = run;
  job->next = NULL;
  pthread_mutex_lock(&pool.lock);
  *pool.last = job;
  pool.last = &job->next;
  pthread_cond_signal(&pool.changed);
  pthread_mutex_unlock(&pool.lock);
}

/* Takes a job back. Returns false if a thread has it. */
static bool take_back(struct job *job) {
  pthread_mutex_lock(&pool.lock);
  struct job **place = &pool.first;
  while (*place && *place != job) place = &(*place)->next;
  bool found = *place != NULL;
  if (found) {
    *place = job->next;
    if (pool.last == &job->next) pool.last = place;
  }
  pthread_mutex_unlock(&pool.lock);
  return found;
}

static struct job *pop_job(void) {
  pthread_mutex_lock(&pool.lock);
  while (!pool.first && !pool.closed) pthread_cond_wait(&pool.changed, &pool.lock);
  struct job *job = pool.first;
  if (job && !(pool.first = job->next)) pool.last = &pool.first;
  pthread_mutex_unlock(&pool.lock);
  return job;
}

static void *work(void *unused) {
  for (struct job *job; (job = pop_job());) job->run(job);
  return unused;
}

static void open_pool(void) {
  pool.first = NULL;
  pool.last = &pool.first;
  pool.closed = false;
  for (int i = 0; i < WORKERS; i++)
    if (pthread_create(&pool.threads[i], NULL, work, NULL)) abort();
}

/* Waits until all jobs are done. */
static void close_pool(void) {
  pthread_mutex_lock(&pool.lock);
  pool.closed = true;
  pthread_cond_broadcast(&pool.changed);
  pthread_mutex_unlock(&pool.lock);
  for (int i = 0; i < WORKERS; i++) pthread_join(pool.threads[i], NULL);
}

/* --- operation(cancelled, number) --- */

struct operation {
  neap_op op; /* must be first */
  struct job job;
  lua_Integer number;
  void *memory;
  neap_cancelled cancelled;
  bool is_gone;
  atomic_bool is_completed;
};

static int push_operation(lua_State *L, neap_op *op) {
  struct operation *operation = (struct operation *)op;
  called("push");
  if (operation->number < 0) return luaL_error(L, "a number below 0");
  lua_pushinteger(L, operation->number);
  return 1;
}

static neap_cancelled cancel_operation(neap_op *op) {
  struct operation *operation = (struct operation *)op;
  called("cancel");
  if (operation->cancelled == NEAP_ABANDONED) return NEAP_ABANDONED;
  if (operation->cancelled == NEAP_COMING || !take_back(&operation->job)) return NEAP_COMING;
  operation->is_gone = true;
  return NEAP_GONE;
}

static void drop_operation(neap_op *op) {
  struct operation *operation = (struct operation *)op;
  operations.ended++;
  if (!operation->is_gone && !operation->is_completed) complain("an operation was dropped that is under way");
  free(operation->memory);
}

static const neap_op_kind operation_kind = {
    .name = "operation",
    .size = sizeof(struct operation),
    .push = push_operation,
    .cancel = cancel_operation,
    .drop = drop_operation,
};

static void complete(struct job *job) {
  struct operation *operation = (struct operation *)((char *)job - offsetof(struct operation, job));
  operation->is_completed = true;
  neap_complete(&operation->op, operation->number % 5 == 4 ? UV_EIO : 0);
}

static int l_operation(lua_State *L) {
  static const char *const words[] = {"gone", "coming", "abandoned", NULL};
  static const neap_cancelled answers[] = {NEAP_GONE, NEAP_COMING, NEAP_ABANDONED};
  int cancelled = luaL_checkoption(L, 1, NULL, words);
  lua_Integer number = luaL_checkinteger(L, 2);
  struct operation *operation = neap_begin(L, &operation_kind);
  operations.begun++;
  operation->cancelled = answers[cancelled];
  operation->number = number;
  operation->memory = malloc(1);
  operation->is_completed = number % 11 == 10; /* it cannot be started */
  if (operation->is_completed) return neap_await(L, &operation->op, UV_EAGAIN);
  push_job(&operation->job, complete);
  return neap_await(L, &operation->op, 0);
}

/* --- promise(number), which a post settles --- */

struct promise {
  struct job job;
  neap_t *neap;
  neap_future *future;
  int number;
};

static void settle(neap_t *neap, void *user) {
  struct promise *promise = user;
  lua_State *L = neap ? neap_state(neap) : NULL;
  int number = promise->number;
  called("a post");
  posts.ended++;
  if (L) lua_pushinteger(L, number);
  neap_settle(L, promise->future, number == 2 ? LUA_ERRRUN : LUA_OK, L ? 1 : 0);
  free(promise);
  if (L && number == 6) luaL_error(L, "a post that raises");
}

static void post_promise(struct job *job) {
  struct promise *promise = (struct promise *)job;
  posts.begun++;
  if (neap_post(promise->neap, settle, promise)) complain("the post was refused");
  unposted--;
}

static int l_promise(lua_State *L) {
  struct promise *promise = malloc(sizeof *promise);
  promise->number = (int)luaL_checkinteger(L, 1);
  promise->neap = neap_of(L);
  promise->future = neap_future_new(L);
  unposted++;
  push_job(&promise->job, post_promise);
  return 1;
}

/* --- spawn(fn, ...) --- */

/* [user] is not NULL for the scenario itself, which does not end. */
static void on_done(lua_State *L, int status, int count, const char *traceback, void *user) {
  called("done");
  spawned.ended++;
  if (L && lua_gettop(L) < count) complain("a task's values are not on the stack");
  if (L && user) complain("the scenario has ended: %d, %s", status, lua_tostring(L, -1));
}

static int l_spawn(lua_State *L) {
  if (spawned.begun - spawned.ended > SPAWNED_MOST) return 0;
  spawned.begun++;
  if (!neap_spawn(L, lua_gettop(L) - 1, on_done, NULL)) complain("neap_spawn failed");
  return 0;
}

/* --- guard(): a <close> variable --- */

static int l_closed(lua_State *L) {
  (void)L;
  guards.ended++;
  return 0;
}

static int l_guard(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_closed);
  lua_setfield(L, -2, "__close");
  lua_setmetatable(L, -2);
  guards.begun++;
  return 1;
}

static const luaL_Reg functions[] = {
    {"operation", l_operation}, {"promise", l_promise}, {"spawn", l_spawn}, {"guard", l_guard}, {NULL, NULL},
};

/* --- a host --- */

struct host {
  const struct mode *mode;
  neap_t *neap;
  lua_State *L; /* its own, or NULL */
  uv_loop_t loop;
  uv_timer_t timer;
  int beats;
};

static void on_report(void *user, const neap_report *report) {
  (void)user, (void)report;
  called("on_report");
}

static void on_beat(uv_timer_t *timer) { ((struct host *)timer->data)->beats++; }

static void open_own(struct host *host, neap_config *config) {
  if (host->mode->state) {
    config->state = host->L = counting_newstate();
    luaL_openlibs(host->L);
  }
  if (!host->mode->loop) return;
  config->loop = &host->loop;
  uv_loop_init(&host->loop);
  uv_timer_init(&host->loop, &host->timer);
  host->timer.data = host;
  uv_timer_start(&host->timer, on_beat, 0, 1);
}

static void start(struct host *host, const char *scenario) {
  neap_config config = {.on_report = on_report};
  open_own(host, &config);
  host->neap = neap_new(&config);
  lua_State *L = neap_state(host->neap);
  lua_pushglobaltable(L);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
  lua_pushstring(L, folder);
  lua_setglobal(L, "folder");
  lua_pushfstring(L, "spec/hosts/cut/%s.lua", scenario);
  if (luaL_loadfile(L, lua_tostring(L, -1)) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    exit(EXIT_FAILURE);
  }
  lua_remove(L, -2);
  spawned.begun++;
  if (!neap_spawn(L, 0, on_done, host)) complain("neap_spawn failed");
}

static void check_status(neap_status status) {
  if (status != NEAP_READY && status != NEAP_WAITING) complain("the scenario has ended: %d", status);
}

/* The turns of a host's loop are its own to run. */
static void turn(struct host *host, int number) {
  if (host->mode->loop && number % 2 == 0)
    uv_run(&host->loop, UV_RUN_NOWAIT);
  else
    check_status(neap_step(host->neap, number % 3 == 0 ? 0 : 0.0002));
}

static void check_own_handles(struct host *host) {
  int beats = host->beats;
  for (int i = 0; i < 1000 && host->beats < beats + 2; i++) uv_run(&host->loop, UV_RUN_ONCE);
  if (host->beats < beats + 2) complain("the host's timer has stopped");
  uv_close((uv_handle_t *)&host->timer, NULL);
  uv_run(&host->loop, UV_RUN_DEFAULT);
  int status = uv_loop_close(&host->loop);
  if (status) complain("uv_loop_close: %s", uv_err_name(status));
}

static void check_own_state(lua_State *L) {
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT);
  if (luaL_dostring(L, "assert(coroutine.wrap(function() return 1 end)() == 1)"))
    complain("the state: %s", lua_tostring(L, -1));
  lua_close(L);
}

/* No thread posts to a runtime that is gone; but what was posted may not have arrived. */
static void cut(struct host *host) {
  while (unposted > 0) sched_yield();
  if (host->mode->closes) lua_close(host->L);
  neap_free(host->neap);
  is_over = true;
}

static void cut_in_timer(uv_timer_t *handle) { cut(handle->data); }

static void cut_in_prepare(uv_prepare_t *handle) {
  uv_prepare_stop(handle);
  cut(handle->data);
}

static void cut_in_check(uv_check_t *handle) {
  uv_check_stop(handle);
  cut(handle->data);
}

/* In a callback of the host's own, on its own loop. */
static void cut_in_loop(struct host *host, int number) {
  union { uv_handle_t handle; uv_timer_t timer; uv_prepare_t prepare; uv_check_t check; } own;
  if (number == 1) {
    uv_timer_init(&host->loop, &own.timer);
    uv_timer_start(&own.timer, cut_in_timer, 0, 0);
  } else if (number == 2) {
    uv_prepare_init(&host->loop, &own.prepare);
    uv_prepare_start(&own.prepare, cut_in_prepare);
  } else {
    uv_check_init(&host->loop, &own.check);
    uv_check_start(&own.check, cut_in_check);
  }
  own.handle.data = host;
  while (!is_over) uv_run(&host->loop, UV_RUN_ONCE);
  uv_close(&own.handle, NULL);
  uv_run(&host->loop, UV_RUN_NOWAIT);
}

/* Operations may be completed after that; all else is over. */
static void after_cut(struct host *host) {
  if (host->mode->state && !host->mode->closes) check_own_state(host->L);
  if (host->mode->loop) check_own_handles(host);
  close_pool();
  is_over = false;
}

static void check_count(struct count *count) {
  if (count->begun != count->ended)
    complain("%d %s, but %d %s", count->begun, count->name, count->ended, count->end);
  count->total += count->begun;
  count->begun = count->ended = 0;
}

/* A state that is closed ends its tasks without closing their variables. */
static void check_counts(const struct mode *mode) {
  if (mode->closes) guards.ended = (int)guards.begun;
  for (int i = 0; i < COUNTS; i++) check_count(counts[i]);
}

static void play(const char *scenario, const struct mode *mode, int turns) {
  struct host host = {.mode = mode};
  open_pool();
  start(&host, scenario);
  for (int i = 1; i <= turns; i++) turn(&host, i);
  if (mode->loop && turns % 4 > 0)
    cut_in_loop(&host, turns % 4);
  else
    cut(&host);
  after_cut(&host);
  check_counts(mode);
}

static void run(const char *scenario, const struct mode *mode, int turns) {
  char name[200];
  snprintf(name, sizeof name, "%s, %s, after %d turns", scenario, mode->name, turns);
  now_playing = name;
  int blocks = counting_blocks(), fds = counting_fds();
  play(scenario, mode, turns);
  for (int i = 0; i < 1000 && counting_blocks() != blocks; i++) uv_sleep(1);
  if (counting_blocks() != blocks) complain("%d blocks are left", counting_blocks() - blocks);
  if (counting_fds() != fds) complain("%d descriptors are left", counting_fds() - fds);
}

static void print_totals(const char *scenario, int cuts) {
  printf("%s: %d cuts", scenario, cuts);
  for (int i = 0; i < COUNTS; i++) printf(", %d %s", counts[i]->total, counts[i]->name);
  printf(", %d bad\n", bad);
}

int main(int argc, char **argv) {
  if (argc < 2) return EXIT_FAILURE;
  int cuts = 0, step = argc > 2 ? atoi(argv[2]) : 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGPIPE, SIG_IGN);
  counting_take_libuv();
  make_folder();
  play(argv[1], &modes[0], TURNS); /* what libuv makes once for the process */
  for (int mode = 0; mode < MODES; mode++)
    for (int turns = 0; turns <= TURNS; turns += step, cuts++) run(argv[1], &modes[mode], turns);
  remove_folder();
  print_totals(argv[1], cuts);
  return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
