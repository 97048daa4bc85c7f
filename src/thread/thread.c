#include "thread/thread.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/deadlock.h"
#include "core/error.h"
#include "core/future.h"
#include "core/report.h"
#include "core/run.h"
#include "core/runtime.h"
#include "core/task.h"
#include "thread/copy.h"
#include "thread/crossing.h"
#include "thread/forward.h"
#include "thread/room.h"

struct thread *thread_new(const struct thread_host *host) {
  struct thread *thread = calloc(1, sizeof *thread);
  if (!thread) return NULL;
  if (uv_mutex_init(&thread->lock)) return free(thread), NULL;
  if (uv_cond_init(&thread->changed)) {
    uv_mutex_destroy(&thread->lock);
    free(thread);
    return NULL;
  }
  atomic_init(&thread->holders, 1);
  thread->host = host;
  list_init(&thread->link);
  list_init(&thread->joiners);
  return thread;
}

void thread_release(void *object) {
  struct thread *thread = object;
  if (!thread || atomic_fetch_sub_explicit(&thread->holders, 1, memory_order_acq_rel) > 1) return;
  thread_release(thread->parent);
  if (thread->parent_port) port_unref(thread->parent_port);
  if (thread->port) port_unref(thread->port);
  message_free(thread->start);
  message_free(thread->settings);
  message_free(thread->outcome.message);
  uv_cond_destroy(&thread->changed);
  uv_mutex_destroy(&thread->lock);
  free(thread);
}

/* --- posts --- */

static void keep_early(struct thread *thread, struct post *post) {
  post->runnable.next = NULL;
  if (thread->early)
    thread->early_last->runnable.next = &post->runnable;
  else
    thread->early = post;
  thread->early_last = post;
}

bool thread_post(struct thread *thread, struct post *post) {
  uv_mutex_lock(&thread->lock);
  bool taken = thread->state <= THREAD_RUNNING;
  if (thread->state == THREAD_STARTING)
    keep_early(thread, post);
  else if (taken)
    taken = port_post(thread->port, post);
  uv_mutex_unlock(&thread->lock);
  return taken;
}

void thread_open_port(struct thread *thread, struct neap_port *port) {
  port_ref(port);
  uv_mutex_lock(&thread->lock);
  thread->port = port;
  thread->state = THREAD_RUNNING;
  for (struct post *next, *post = thread->early; post; post = next) {
    next = (struct post *)post->runnable.next;
    port_post(port, post);
  }
  thread->early = NULL;
  uv_mutex_unlock(&thread->lock);
}

void thread_close_port(struct thread *thread) {
  uv_mutex_lock(&thread->lock);
  struct post *early = thread->early;
  thread->state = THREAD_ENDING;
  thread->early = NULL;
  uv_mutex_unlock(&thread->lock);
  for (struct post *next, *post = early; post; post = next) {
    next = (struct post *)post->runnable.next;
    post->run(NULL, post);
  }
}

void thread_mark_end(struct thread *thread) {
  uv_mutex_lock(&thread->lock);
  thread->state = THREAD_ENDED;
  if (!list_empty(&thread->joiners)) atomic_store(&thread->retrieved, true);
  uv_cond_broadcast(&thread->changed);
  uv_mutex_unlock(&thread->lock);
}

/* One is given outside the lock: so they are told one by one. None is added any more. */
void thread_tell_end(struct thread *thread, struct neap *here) {
  uv_mutex_lock(&thread->lock);
  for (struct list *node; (node = list_first(&thread->joiners));) {
    list_remove(node);
    uv_mutex_unlock(&thread->lock);
    crossing_give(here, container_of(node, struct crossing, link), 0);
    uv_mutex_lock(&thread->lock);
  }
  uv_mutex_unlock(&thread->lock);
}

/* --- being asked to end --- */

struct stop {
  struct post post;
  struct thread *thread;
  enum thread_stop how;
};

static void stop_here(struct neap *rt, const struct stop *stop) {
  struct op *forever = rt->forever;
  if (stop->how == STOP_KILL) {
    stop->thread->killed = true;
    rt->stop = true;
  } else if (forever && stop->how == STOP_FOREVER) {
    rt->forever = NULL;
    op_complete(rt, forever, 0);
  } else {
    task_cancel_all(rt);
  }
}

static void run_stop(struct neap *rt, struct post *post) {
  struct stop *stop = (struct stop *)post;
  if (rt) stop_here(rt, stop);
  thread_release(stop->thread);
  free(stop);
}

bool thread_stop(struct thread *thread, enum thread_stop how) {
  struct stop *stop = malloc(sizeof *stop);
  if (!stop) return false;
  *stop = (struct stop){.post.run = run_stop, .thread = thread, .how = how};
  thread_hold(thread);
  if (!thread_post(thread, &stop->post)) run_stop(NULL, &stop->post);
  return true;
}

/* --- its life, in its own thread --- */

/* (thread): returns what the function does. */
static int body(lua_State *L) {
  struct thread *thread = lua_touserdata(L, 1);
  struct message *message = thread->start;
  thread->start = NULL;
  lua_settop(L, 0);
  return message_call(L, message);
}

/* The settings are package.path, package.cpath and arg. */
static void apply_settings(lua_State *L, struct thread *thread) {
  struct message *settings = thread->settings;
  thread->settings = NULL;
  message_take(L, settings);
  lua_setglobal(L, "arg");
  lua_getglobal(L, "package");
  lua_insert(L, -3);
  lua_setfield(L, -3, "cpath");
  lua_setfield(L, -2, "path");
  lua_pop(L, 1);
}

/* (thread): makes the main task. */
static int protected_begin(lua_State *L) {
  struct thread *thread = lua_touserdata(L, 1);
  struct neap *rt = runtime_get(L);
  struct thread_room *room = thread_room(L);
  luaL_checkstack(L, 12, "not enough memory");
  thread_hold(thread);
  room->self = thread;
  rt->debug = thread->debug;
  rt->expects_posts = true;
  forward_reports(rt, thread);
  apply_settings(L, thread);
  if ((rt->prepare = thread->prepare)) {
    lua_pushcfunction(L, thread->prepare);
    lua_call(L, 0, 0);
  }
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, thread);
  rt->main = rt->body = task_new(L, rt, lua_gettop(L) - 1, -1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, thread);
  return 0;
}

static bool is_over(struct neap *rt, struct thread *thread) { return rt->exiting || thread->killed; }

/* What is left is cancelled, in rounds, since cleanup may make new tasks. */
static void finish_tasks(struct neap *rt, struct thread *thread) {
  while (!list_empty(&rt->tasks) && !is_over(rt, thread)) {
    struct task *first = container_of(rt->tasks.next, struct task, link);
    task_cancel_all(rt);
    if (!lua_checkstack(rt->L, 4)) return;
    task_push(rt->L, first);
    enum run_result result = runtime_run(rt, &first->future);
    lua_pop(rt->L, 1);
    if (result == RUN_IDLE) return;
  }
}

static int protected_report(lua_State *L) {
  future_report_failures(L, runtime_get(L), true);
  return 0;
}

static void report_failures(lua_State *L, struct neap *rt, struct thread *thread) {
  lua_pushcfunction(L, protected_report);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
  thread->reported = rt->reported;
}

/* Until the main task has ended; loop:stop() means nothing here. */
static void run_tasks(lua_State *L, struct neap *rt, struct thread *thread) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, thread);
  struct task *task = lua_touserdata(L, -1);
  while (!future_done(&task->future) && !is_over(rt, thread))
    if (runtime_run(rt, &task->future) == RUN_IDLE) break;
  finish_tasks(rt, thread);
  thread->exiting = rt->exiting;
  thread->exit_code = rt->exit_code;
  if (future_done(&task->future)) outcome_keep(L, &thread->outcome, lua_gettop(L), "thread");
  report_failures(L, rt, thread);
}

/* Before anybody learns that what he waits for will not come: the program does not go on with that. */
static void tell_exit(struct thread *thread) {
  if (!thread->exiting) return;
  thread_hold(thread);
  if (!port_post(thread->parent_port, &thread->exited)) thread_release(thread);
}

static void run(struct thread *thread, lua_State *L) {
  struct neap *rt = runtime_get(L);
  lua_pushcfunction(L, protected_begin);
  lua_pushlightuserdata(L, thread);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) {
    thread_open_port(thread, rt->port);
    run_tasks(L, rt, thread);
    tell_exit(thread);
  } else {
    outcome_keep_error(L, &thread->outcome, "thread");
  }
  message_weaken(thread->outcome.message, thread);
  thread_close_port(thread);
  thread->host->free(L);
}

/* No part in others stays that may have a part in this one. */
static void forget_parent(struct thread *thread) {
  thread_release(thread->parent);
  thread->parent = NULL;
}

void thread_main(void *object) {
  struct thread *thread = object;
  lua_State *L = thread->host->make(thread->ignore_environment);
  if (L) {
    run(thread, L);
  } else {
    thread->outcome.kind = OUTCOME_FAILED;
    thread_close_port(thread);
  }
  forget_parent(thread);
  thread_mark_end(thread);
  thread_hold(thread); /* for the post, which comes before those who wait go on */
  if (!port_post(thread->parent_port, &thread->ended)) thread_release(thread);
  thread_tell_end(thread, NULL);
  thread_release(thread);
}
