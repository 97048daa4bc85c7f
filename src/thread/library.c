#include "thread/library.h"

#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/future.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/report.h"
#include "core/runtime.h"
#include "core/task.h"
#include "thread/copy.h"
#include "thread/crossing.h"
#include "thread/room.h"
#include "thread/thread.h"

/* User values of a thread's object, in the state that made it: the task that waits for its end; a failed
 * future, whose error is reported if nobody reads it. */
enum { WATCHER = 1, FAILURE = 2, USER_VALUES = 2 };

/* Registry table (weak values): objects by thread. */
static const char objects_key;

struct thread *thread_check(lua_State *L, int index) {
  struct thread **object = object_test(L, index, OBJECT_THREAD);
  if (!object) luaL_typeerror(L, index, "neap.Thread");
  runtime_check_thread(L, runtime_of(L));
  return *object;
}

static struct thread **new_object(lua_State *L, struct neap *rt) {
  struct thread **object = object_new(L, rt, OBJECT_THREAD, sizeof *object, USER_VALUES);
  *object = NULL;
  return object;
}

/* Pushes the object if this state has one, or nil. */
static bool push_known(lua_State *L, struct thread *thread) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &objects_key);
  lua_rawgetp(L, -1, thread);
  lua_remove(L, -2);
  return !lua_isnil(L, -1);
}

/* Gives the object on top its thread. */
static void remember(lua_State *L, struct thread **object, struct thread *thread) {
  *object = thread;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &objects_key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, thread);
  lua_pop(L, 1);
}

void thread_push(lua_State *L, struct neap *rt, void *thread) {
  if (push_known(L, thread)) return;
  lua_pop(L, 1);
  struct thread **object = new_object(L, rt);
  thread_hold(thread);
  remember(L, object, thread);
}

static void *retain(lua_State *L, struct neap *rt, int index) {
  struct thread *thread = *(struct thread **)object_test(L, index, OBJECT_THREAD);
  thread_hold(thread);
  return thread;
}

static const struct copy_kind thread_kind = {retain, thread_push, thread_release};

static int l_gc(lua_State *L) {
  struct thread **object = object_end(L, 1, OBJECT_THREAD);
  if (object) thread_release(*object);
  return 0;
}

/* The thread of this state, which is made for the host's own when it is first asked for. */
static struct thread *self_of(lua_State *L, struct neap *rt) {
  struct thread_room *room = thread_room(L);
  runtime_check_open(L, rt, "thread");
  if (room->self) return room->self;
  struct thread *self = thread_new(room->host);
  if (!self) return luaL_error(L, "thread: not enough memory"), NULL;
  strcpy(self->name, "main");
  self->is_host = true;
  atomic_store(&self->daemon, true);
  thread_open_port(self, rt->port);
  room->self = self;
  return self;
}

static void push_name(lua_State *L, struct thread *thread) {
  char name[THREAD_NAME];
  uv_mutex_lock(&thread->lock);
  memcpy(name, thread->name, sizeof name);
  uv_mutex_unlock(&thread->lock);
  lua_pushstring(L, name);
}

/* --- its end, in the parent --- */

/* Pushes how it ended: values, or the error, which is raised. */
static int push_end(lua_State *L, struct thread *thread) {
  atomic_store(&thread->retrieved, true);
  push_name(L, thread);
  return outcome_push(L, &thread->outcome, lua_tostring(L, -1));
}

/* (thread): keeps its error in a future, which reports it unless somebody reads it. */
static int protected_keep_failure(lua_State *L) {
  struct thread *thread = lua_touserdata(L, 1);
  struct neap *rt = runtime_get(L);
  luaL_checkstack(L, 10, "not enough memory");
  thread_push(L, rt, thread);
  future_new(L, rt);
  push_name(L, thread);
  lua_pushvalue(L, 4);
  future_set_detail(L, 3, "stands_for");
  outcome_push_error(L, &thread->outcome, lua_tostring(L, 4));
  lua_remove(L, 4);
  future_set_detail(L, 3, "traceback");
  lua_settop(L, 4);
  future_fail(L, rt, 3, FUTURE_FAILED);
  lua_setiuservalue(L, 2, FAILURE);
  return 0;
}

/* (thread): at the runtime's end, where no future can be of use any more. */
static int protected_report(lua_State *L) {
  struct thread *thread = lua_touserdata(L, 1);
  push_name(L, thread);
  outcome_push_error(L, &thread->outcome, lua_tostring(L, 2));
  lua_settop(L, 3);
  report(L, runtime_get(L), "a thread failed and nobody read its error", NULL, 0);
  return 0;
}

void thread_report(struct neap *rt, struct thread *thread) {
  if (thread->outcome.kind != OUTCOME_FAILED || atomic_exchange(&thread->retrieved, true)) return;
  lua_pushcfunction(rt->L, protected_report);
  lua_pushlightuserdata(rt->L, thread);
  if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) lua_pop(rt->L, 1);
}

static void pass_exit_on(struct neap *rt, struct thread *thread) {
  if (!thread->exiting || rt->exiting) return;
  rt->exiting = true;
  rt->exit_code = thread->exit_code;
  rt->stop = true;
}

static void run_exited(struct neap *rt, struct post *post) {
  struct thread *thread = container_of(post, struct thread, exited);
  if (rt) pass_exit_on(rt, thread);
  thread_release(thread);
}

static void run_ended(struct neap *rt, struct post *post) {
  struct thread *thread = container_of(post, struct thread, ended);
  if (rt) {
    uv_thread_join(&thread->id);
    list_remove(&thread->link);
    port_unexpect(rt);
    if (thread->watch) op_complete(rt, thread->watch, 0);
    rt->reported += thread->reported;
    if (thread->outcome.kind == OUTCOME_FAILED && !atomic_load(&thread->retrieved)) {
      lua_pushcfunction(rt->L, protected_keep_failure);
      lua_pushlightuserdata(rt->L, thread);
      if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) lua_pop(rt->L, 1);
    }
    thread_release(thread); /* the parent's part */
  }
  thread_release(thread);
}

/* --- waiting for it --- */

static const struct crossing_kind wait_kind = {.release = thread_release};

/* The error that would be reported has been read. */
static void read_failure(lua_State *L, struct thread *thread) {
  if (push_known(L, thread) && lua_getiuservalue(L, -1, FAILURE) == LUA_TUSERDATA) {
    lua_getfield(L, -1, "exception");
    lua_insert(L, -2);
    lua_call(L, 1, 0);
    lua_pushnil(L);
  }
  lua_pop(L, 2);
}

static int push_join(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  read_failure(L, crossing_of(op)->owner);
  return push_end(L, crossing_of(op)->owner);
}

static const struct op_kind join_kind = {
    .name = "join",
    .size = sizeof(struct crossing_op),
    .push = push_join,
    .abort = crossing_abort,
    .drop = crossing_drop,
};

static struct crossing *begin_join(lua_State *L, struct thread *thread) {
  struct crossing *crossing = crossing_begin(L, &join_kind, &wait_kind, thread, &thread->lock);
  thread_hold(thread);
  uv_mutex_lock(&thread->lock);
  bool waits = thread->state != THREAD_ENDED;
  if (waits) list_append(&thread->joiners, &crossing->link);
  uv_mutex_unlock(&thread->lock);
  if (waits)
    crossing_expect(crossing);
  else
    crossing_give_early(crossing, 0);
  bool is_child = thread->parent_port == crossing->port;
  if (!waits && is_child) pass_exit_on(crossing->rt, thread); /* that may still be on its way */
  return crossing;
}

/* thread:join(): waits until the thread has ended, and returns what its function returned, or raises its
 * error. */
static int l_join(lua_State *L) {
  struct thread *thread = thread_check(L, 1);
  lua_settop(L, 1);
  if (thread == thread_room(L)->self) return error_misuse(L, "join: a thread cannot wait for itself");
  return crossing_await(L, begin_join(L, thread));
}

/* --- the task that stands for it in its parent --- */

struct watch_op {
  struct op op;
  struct thread *thread;
};

/* To cancel it asks the thread to end, which it then waits for all the same. */
static enum op_abort abort_watch(struct neap *rt, struct op *op) {
  (void)rt;
  struct thread *thread = ((struct watch_op *)op)->thread;
  if (atomic_load(&thread->daemon)) return OP_GONE;
  (void)thread_stop(thread, STOP_CANCEL);
  return OP_COMING;
}

static void drop_watch(struct neap *rt, struct op *op) {
  (void)rt;
  struct thread *thread = ((struct watch_op *)op)->thread;
  if (thread && thread->watch == op) thread->watch = NULL;
  thread_release(thread);
}

static const struct op_kind watch_kind = {
    .name = "thread",
    .size = sizeof(struct watch_op),
    .abort = abort_watch,
    .drop = drop_watch,
};

/* Its body. A thread that was joined stands in no list. */
static int l_watch(lua_State *L) {
  struct thread *thread = thread_check(L, 1);
  if (list_empty(&thread->link)) return 0;
  struct watch_op *op = op_begin(L, &watch_kind);
  op->thread = thread;
  thread_hold(thread);
  thread->watch = &op->op;
  return op_await(L, &op->op, 0);
}

/* Starts that task for the thread whose object is at [index]. [level] is that of the caller. */
static void watch(lua_State *L, struct neap *rt, int index, int level) {
  struct thread *thread = *(struct thread **)lua_touserdata(L, index);
  runtime_push(L);
  lua_pushcclosure(L, l_watch, 1);
  lua_pushvalue(L, index);
  task_new(L, rt, lua_gettop(L) - 1, level);
  push_name(L, thread);
  future_set_detail(L, -2, "name");
  lua_setiuservalue(L, index, WATCHER);
}

static void unwatch(lua_State *L, struct neap *rt, int index) {
  lua_getiuservalue(L, index, WATCHER);
  struct task *task = object_test(L, -1, OBJECT_TASK);
  if (task) task_kill(L, rt, task);
  lua_pop(L, 1);
}

/* --- starting --- */

/* Signals are for the host's thread; but not those that say that something is broken. */
static void block_signals(sigset_t *before) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
  sigset_t all;
  sigfillset(&all);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&all, faults[i]);
  pthread_sigmask(SIG_SETMASK, &all, before);
}

static int create(struct thread *thread) {
  sigset_t before;
  block_signals(&before);
  int status = uv_thread_create(&thread->id, thread_main, thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return status;
}

/* package.path, package.cpath, and arg if it can be copied. */
static struct message *copy_settings(lua_State *L) {
  static const struct copy_names names = {"thread", "setting", 1};
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "package") == LUA_TTABLE) {
    lua_getfield(L, -1, "path");
    lua_getfield(L, -2, "cpath");
  } else {
    lua_pushnil(L);
    lua_pushnil(L);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushliteral(L, "arg");
  lua_rawget(L, -2);
  lua_remove(L, -2);
  struct message *settings = message_new(L, top + 3, &names);
  lua_settop(L, top);
  return settings;
}

static bool is_ignoring_environment(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  bool ignoring = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return ignoring;
}

/* Gives the thread what it will begin with: function and arguments, from index [first]. */
static void prepare(lua_State *L, struct neap *rt, struct thread *thread, int first) {
  static const struct copy_names names = {"thread", "argument", 0};
  struct thread_room *room = thread_room(L);
  thread->parent = self_of(L, rt);
  thread_hold(thread->parent);
  thread->parent_port = rt->port;
  port_ref(rt->port);
  thread->debug = rt->debug;
  thread->prepare = rt->prepare;
  thread->ignore_environment = is_ignoring_environment(L);
  thread->ended.run = run_ended;
  thread->exited.run = run_exited;
  snprintf(thread->name, sizeof thread->name, "Thread-%u", ++room->started);
  thread->settings = copy_settings(L);
  thread->start = message_new(L, first, &names);
}

/* thread(level, daemon, fn, ...): starts a thread whose main task calls fn(...). */
static int l_thread(lua_State *L) {
  enum { LEVEL = 1, DAEMON, FUNCTION };
  struct neap *rt = runtime_of(L);
  int level = (int)luaL_checkinteger(L, LEVEL);
  bool daemon = lua_toboolean(L, DAEMON);
  luaL_checktype(L, FUNCTION, LUA_TFUNCTION);
  runtime_check_open(L, rt, "thread");
  limits_refuse_restricted(L, rt, "thread");
  struct thread **object = new_object(L, rt);
  lua_insert(L, FUNCTION);
  struct thread *thread = thread_new(thread_room(L)->host);
  if (!thread) return luaL_error(L, "thread: not enough memory");
  *object = thread;
  atomic_init(&thread->daemon, daemon);
  prepare(L, rt, thread, FUNCTION + 1);
  lua_settop(L, FUNCTION);
  remember(L, object, thread);
  if (!daemon) watch(L, rt, FUNCTION, level);
  thread_hold(thread); /* its own part, and that of its parent */
  thread_hold(thread);
  list_append(&thread_room(L)->children, &thread->link);
  port_expect(rt);
  int status = create(thread);
  if (status == 0) return 1;
  list_remove(&thread->link);
  port_unexpect(rt);
  thread_close_port(thread);
  thread_mark_end(thread);
  thread_tell_end(thread, rt);
  thread_release(thread);
  thread_release(thread);
  return error_misuse(L, "thread: cannot start a thread: %s", uv_strerror(status));
}

/* --- methods --- */

/* thread:stop(): asks the thread to end: a run_forever in its body returns, or else all its tasks are
 * cancelled. */
static int l_stop(lua_State *L) {
  struct thread *thread = thread_check(L, 1);
  if (thread->is_host) return error_misuse(L, "stop: this thread belongs to the host");
  if (!thread_stop(thread, STOP_FOREVER)) return luaL_error(L, "stop: not enough memory");
  return 0;
}

static enum thread_state state_of(struct thread *thread) {
  uv_mutex_lock(&thread->lock);
  enum thread_state state = thread->state;
  uv_mutex_unlock(&thread->lock);
  return state;
}

/* thread:is_alive(): whether it has not ended. */
static int l_is_alive(lua_State *L) {
  lua_pushboolean(L, state_of(thread_check(L, 1)) != THREAD_ENDED);
  return 1;
}

/* thread.name, thread.daemon, or a method. */
static int l_index(lua_State *L) {
  struct thread *thread = thread_check(L, 1);
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(name, "name") == 0) return push_name(L, thread), 1;
  if (strcmp(name, "daemon") == 0) return lua_pushboolean(L, atomic_load(&thread->daemon)), 1;
  object_push_metatable(L, runtime_of(L), OBJECT_THREAD);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

static int set_name(lua_State *L, struct thread *thread) {
  size_t length;
  const char *name = luaL_checklstring(L, 3, &length);
  if (length >= THREAD_NAME) length = THREAD_NAME - 1;
  uv_mutex_lock(&thread->lock);
  memcpy(thread->name, name, length);
  thread->name[length] = '\0';
  uv_mutex_unlock(&thread->lock);
  return 0;
}

/* Only its parent, which waits for it or not, may say so. */
static int set_daemon(lua_State *L, struct neap *rt, struct thread *thread) {
  bool daemon = lua_toboolean(L, 3);
  if (thread->parent_port != rt->port)
    return error_misuse(L, "daemon: only the thread that started this one can set it");
  if (daemon == atomic_load(&thread->daemon)) return 0;
  atomic_store(&thread->daemon, daemon);
  if (daemon)
    unwatch(L, rt, 1);
  else if (!list_empty(&thread->link))
    watch(L, rt, 1, 1);
  return 0;
}

static int l_newindex(lua_State *L) {
  struct thread *thread = thread_check(L, 1);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "name") == 0) return set_name(L, thread);
  if (strcmp(name, "daemon") == 0) return set_daemon(L, runtime_of(L), thread);
  return error_misuse(L, "a thread has no field '%s' to set", name);
}

static int l_tostring(lua_State *L) {
  static const char *const states[] = {"starting", "running", "ending", "ended"};
  struct thread *thread = thread_check(L, 1);
  push_name(L, thread);
  lua_pushfstring(L, "<Thread %s %s%s>", lua_tostring(L, -1), states[state_of(thread)],
                  atomic_load(&thread->daemon) && !thread->is_host ? " daemon" : "");
  return 1;
}

/* --- which thread --- */

/* current_thread(): the one that this runs in. */
static int l_current_thread(lua_State *L) {
  thread_push(L, runtime_of(L), self_of(L, runtime_of(L)));
  return 1;
}

/* parent_thread(): the one that started this one; nil in the host's own. */
static int l_parent_thread(lua_State *L) {
  struct thread *parent = self_of(L, runtime_of(L))->parent;
  if (!parent) return lua_pushnil(L), 1;
  thread_push(L, runtime_of(L), parent);
  return 1;
}

/* parallelism(): how many threads can run at the same time. */
static int l_parallelism(lua_State *L) {
  lua_pushinteger(L, uv_available_parallelism());
  return 1;
}

static const luaL_Reg methods[] = {
    {"join", l_join},
    {"stop", l_stop},
    {"is_alive", l_is_alive},
    {"__index", l_index},
    {"__newindex", l_newindex},
    {"__tostring", l_tostring},
    {"__gc", l_gc},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"start_thread", l_thread},
    {"current_thread", l_current_thread},
    {"parent_thread", l_parent_thread},
    {"parallelism", l_parallelism},
    {NULL, NULL},
};

void thread_library_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_THREAD, "neap.Thread", methods);
  lua_pop(L, 1);
  copy_register(L, OBJECT_THREAD, &thread_kind);
  weak_table_new(L, "v");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &objects_key);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
