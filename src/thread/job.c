#include "thread/job.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/future.h"
#include "core/report.h"
#include "core/runtime.h"
#include "core/task.h"
#include "thread/copy.h"
#include "thread/crossing.h"
#include "thread/library.h"
#include "thread/outcome.h"
#include "thread/room.h"
#include "thread/thread.h"

struct job {
  struct post post;         /* to the thread: to begin; then, there, to look at how it ended */
  struct post cancel;       /* to the thread */
  struct post told;         /* to the caller's runtime: that it has ended */
  atomic_uint holders;
  struct thread *thread;
  struct neap_port *caller;
  bool tells;               /* the caller wants to be told */
  struct waiter local;      /* the caller's own: for the end of the task that awaits it there */

  struct list link;         /* the thread's own: among the jobs that run there */
  struct waiter waiter;     /* for the end of its task */
  struct task *task;
  struct message *call;     /* function and arguments */

  uv_mutex_t lock;          /* of what follows */
  struct list waiting;
  bool cancelled;
  bool done;
  struct outcome outcome;   /* the same for ever when it is done */
};

static void hold(struct job *job) {
  atomic_fetch_add_explicit(&job->holders, 1, memory_order_relaxed);
}

static void release(void *object) {
  struct job *job = object;
  if (atomic_fetch_sub_explicit(&job->holders, 1, memory_order_acq_rel) > 1) return;
  thread_release(job->thread);
  port_unref(job->caller);
  message_free(job->call);
  message_free(job->outcome.message);
  uv_mutex_destroy(&job->lock);
  free(job);
}

/* --- in the thread --- */

/* Before those who wait: what they then begin finds that it was told. */
static void tell_caller(struct job *job) {
  hold(job);
  if (!job->tells || !port_post(job->caller, &job->told)) release(job);
}

/* Its outcome is there. Gives up the thread's part. */
static void finish(struct neap *rt, struct job *job) {
  struct list *node;
  tell_caller(job);
  uv_mutex_lock(&job->lock);
  job->done = true;
  while ((node = list_first(&job->waiting))) {
    list_remove(node);
    uv_mutex_unlock(&job->lock);
    crossing_give(rt, container_of(node, struct crossing, link), 0);
    uv_mutex_lock(&job->lock);
  }
  uv_mutex_unlock(&job->lock);
  release(job);
}

/* (job): returns what the function does. */
static int body(lua_State *L) {
  struct job *job = lua_touserdata(L, 1);
  struct message *message = job->call;
  job->call = NULL;
  lua_settop(L, 0);
  return message_call(L, message);
}

/* (job): its task has ended. */
static int protected_end(lua_State *L) {
  struct job *job = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, job);
  outcome_keep(L, &job->outcome, 2, "thread");
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, job);
  return 0;
}

static void run_end(struct neap *rt, struct post *post) {
  struct job *job = container_of(post, struct job, post);
  list_remove(&job->link);
  if (rt) {
    lua_pushcfunction(rt->L, protected_end);
    lua_pushlightuserdata(rt->L, job);
    if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) lua_pop(rt->L, 1);
  }
  finish(rt, job);
}

static void task_has_ended(struct neap *rt, struct waiter *waiter, struct future *future) {
  struct job *job = container_of(waiter, struct job, waiter);
  if (future->state == FUTURE_FAILED) future->retrieved = true; /* it goes to the caller */
  job->task = NULL;
  job->post = (struct post){.runnable.kind = RUN_POST, .run = run_end};
  runtime_make_ready(rt, &job->post.runnable);
}

/* (job) */
static int protected_begin(lua_State *L) {
  struct job *job = lua_touserdata(L, 1);
  struct neap *rt = runtime_get(L);
  luaL_checkstack(L, 10, "not enough memory");
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, job);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, job);
  struct task *task = task_new(L, rt, 2, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, job);
  job->task = task;
  list_append(&task->future.waiters, &job->waiter.link);
  list_append(&thread_room(L)->jobs, &job->link);
  return 0;
}

static void run_begin(struct neap *rt, struct post *post) {
  struct job *job = container_of(post, struct job, post);
  if (rt) {
    lua_pushcfunction(rt->L, protected_begin);
    lua_pushlightuserdata(rt->L, job);
    if (lua_pcall(rt->L, 1, 0, 0) == LUA_OK) return;
    outcome_keep_error(rt->L, &job->outcome, "thread");
  }
  finish(rt, job);
}

void job_end_all(struct neap *rt, struct thread_room *room) {
  for (struct list *node; (node = list_first(&room->jobs));) {
    struct job *job = container_of(node, struct job, link);
    list_remove(node);
    if (!job->task) continue; /* its post is on the way */
    list_remove(&job->waiter.link);
    job->task = NULL;
    finish(rt, job);
  }
}

static void run_cancel(struct neap *rt, struct post *post) {
  struct job *job = container_of(post, struct job, cancel);
  if (rt && job->task) task_cancel_quietly(rt, job->task);
  release(job);
}

/* --- in the caller's thread --- */

/* Asks its task to end. */
static void cancel(struct job *job) {
  uv_mutex_lock(&job->lock);
  bool first = !job->done && !job->cancelled;
  job->cancelled = true;
  uv_mutex_unlock(&job->lock);
  if (!first) return;
  hold(job);
  if (!thread_post(job->thread, &job->cancel)) release(job);
}

/* (job): calls the function that was to be told. */
static int protected_tell(lua_State *L) {
  struct job *job = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &job->told);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &job->told);
  lua_call(L, 0, 0);
  return 0;
}

static void run_told(struct neap *rt, struct post *post) {
  struct job *job = container_of(post, struct job, told);
  if (rt) {
    port_unexpect(rt);
    lua_pushcfunction(rt->L, protected_tell);
    lua_pushlightuserdata(rt->L, job);
    if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) report(rt->L, rt, "a callback failed", NULL, 0);
  }
  release(job);
}

/* Also when it was cancelled before it began. */
static void local_task_has_ended(struct neap *rt, struct waiter *waiter, struct future *future) {
  (void)rt, (void)future;
  cancel(container_of(waiter, struct job, local));
}

static struct job *make(struct neap *rt, struct thread *thread) {
  struct job *job = calloc(1, sizeof *job);
  if (!job || uv_mutex_init(&job->lock)) return free(job), NULL;
  atomic_init(&job->holders, 1);
  job->post.run = run_begin;
  job->cancel.run = run_cancel;
  job->told.run = run_told;
  job->waiter.fire = task_has_ended;
  job->local.fire = local_task_has_ended;
  job->thread = thread;
  thread_hold(thread);
  job->caller = rt->port;
  port_ref(rt->port);
  list_init(&job->link);
  list_init(&job->waiter.link);
  list_init(&job->local.link);
  list_init(&job->waiting);
  return job;
}

static struct job *check_job(lua_State *L) {
  struct job **box = object_check(L, runtime_of(L), 1, OBJECT_JOB);
  return *box;
}

/* The function that is to be told is at [index], or nil. */
static void keep_told(lua_State *L, struct job *job, int index) {
  job->tells = !lua_isnil(L, index);
  if (!job->tells) return;
  lua_pushvalue(L, index);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &job->told);
}

static void forget_told(lua_State *L, struct job *job) {
  if (!job->tells) return;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &job->told);
}

/* start_job(thread, call, told, fn, ...): has fn(...) called in a task of the thread. [told], unless it is nil, is
 * called when that has ended, whoever awaits it. Returns the job. */
static int l_start_job(lua_State *L) {
  enum { THREAD = 1, CALL, TOLD, FUNCTION };
  struct neap *rt = runtime_of(L);
  struct thread *thread = thread_check(L, THREAD);
  luaL_checktype(L, FUNCTION, LUA_TFUNCTION);
  struct copy_names names = {luaL_checkstring(L, CALL), "argument", 0};
  runtime_check_open(L, rt, names.call);
  struct job **box = object_new(L, rt, OBJECT_JOB, sizeof *box, 0);
  *box = NULL;
  lua_replace(L, THREAD);
  struct job *job = *box = make(rt, thread);
  if (!job) return luaL_error(L, "%s: not enough memory", names.call);
  job->call = message_new(L, FUNCTION, &names);
  keep_told(L, job, TOLD);
  hold(job);
  if (job->tells) port_expect(rt);
  if (thread_post(thread, &job->post)) {
    lua_settop(L, 1);
    return 1;
  }
  if (job->tells) port_unexpect(rt);
  forget_told(L, job);
  release(job);
  return error_misuse(L, "%s: the thread has ended", names.call);
}

static int push_end(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  struct job *job = crossing_of(op)->owner;
  return outcome_push(L, &job->outcome, "the thread");
}

/* The wait is over first: else the job could end at once, and its cancellation be what was waited for. */
static enum op_abort abort_wait(struct neap *rt, struct op *op) {
  enum op_abort answer = crossing_abort(rt, op);
  cancel(crossing_of(op)->owner);
  return answer;
}

static const struct op_kind wait_kind = {
    .name = "thread",
    .size = sizeof(struct crossing_op),
    .push = push_end,
    .abort = abort_wait,
    .drop = crossing_drop,
};

static const struct crossing_kind waiting_kind = {.release = release};

/* job:await(): waits for the end, and returns the values or raises the error. Cancelling it cancels the
 * job's task, and does not wait for that. */
static int l_await(lua_State *L) {
  struct job *job = check_job(L);
  lua_settop(L, 1);
  struct crossing *crossing = crossing_begin(L, &wait_kind, &waiting_kind, job, &job->lock);
  hold(job);
  uv_mutex_lock(&job->lock);
  bool waits = !job->done;
  if (waits) list_append(&job->waiting, &crossing->link);
  uv_mutex_unlock(&job->lock);
  if (waits)
    crossing_expect(crossing);
  else
    crossing_give_early(crossing, 0);
  return crossing_await(L, crossing);
}

/* thread:run_coroutine_threadsafe(fn, ...): has a copy of fn called in a task of the thread, which is posted at
 * once. Returns a task of this loop, which ends as that one does; cancelling it cancels that one, and does not
 * wait for it. */
static int l_run_coroutine_threadsafe(lua_State *L) {
  static const char call[] = "run_coroutine_threadsafe";
  struct neap *rt = runtime_of(L);
  thread_check(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushstring(L, call);
  lua_insert(L, 2);
  lua_pushnil(L);
  lua_insert(L, 3);
  l_start_job(L);
  struct job *job = *(struct job **)lua_touserdata(L, 1);
  runtime_push(L);
  lua_pushcclosure(L, l_await, 1);
  lua_insert(L, 1);
  struct task *task = task_new(L, rt, 1, 1);
  list_append(&task->future.waiters, &job->local.link);
  return 1;
}

static int l_cancel(lua_State *L) {
  cancel(check_job(L));
  return 0;
}

static int l_gc(lua_State *L) {
  struct job **box = object_end(L, 1, OBJECT_JOB);
  if (box && *box) release(*box);
  return 0;
}

static const luaL_Reg methods[] = {
    {"await", l_await},
    {"cancel", l_cancel},
    {"__gc", l_gc},
    {NULL, NULL},
};

static const luaL_Reg thread_methods[] = {
    {"run_coroutine_threadsafe", l_run_coroutine_threadsafe},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"start_job", l_start_job},
    {NULL, NULL},
};

void job_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_JOB, "neap.Job", methods);
  object_push_metatable(L, rt, OBJECT_THREAD);
  object_add_methods(L, thread_methods);
  lua_pop(L, 2);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
