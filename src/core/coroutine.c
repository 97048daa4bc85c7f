#include "core/coroutine.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/require.h"
#include "core/scope.h"
#include "core/task.h"

/* Registry: the coroutines that an await has passed through and not come back, and those of tasks that user
 * code has got hold of, with their task (weak keys); the function of coroutine_push_runner; the functions of
 * the library `coroutine`; those they have replaced. */
static const char parked_key, runner_key, library_key, replaced_key;

int thread_close(lua_State *co, lua_State *from) {
#if LUA_VERSION_RELEASE_NUM >= 50406
  return lua_closethread(co, from);
#elif LUA_VERSION_RELEASE_NUM == 50405
  return lua_resetthread(co, from);
#else
  (void)from;
  return lua_resetthread(co);
#endif
}

/* --- parking --- */

/* The coroutine is at [index] of L's stack; [task] is NULL when it is no longer parked. */
static void set_parked(lua_State *L, struct neap *rt, int index, struct task *task) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &parked_key);
  lua_pushvalue(L, index);
  lua_pushvalue(L, -1);
  bool was_parked = lua_rawget(L, -3) != LUA_TNIL; /* there may have been no memory for it */
  lua_pop(L, 1);
  if (task)
    task_push(L, task);
  else
    lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  if (was_parked != (task != NULL)) rt->parked += task ? 1 : -1u;
}

enum parking { NOT_PARKED, PARKED, ORPHANED };

/* Orphaned: its task has ended, and nobody will come back for it; it can only be closed. */
static enum parking parking_of(lua_State *L, struct neap *rt, int index) {
  if (rt->parked == 0) return NOT_PARKED;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &parked_key);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  struct task *task = lua_touserdata(L, -1);
  lua_pop(L, 2);
  if (!task) return NOT_PARKED;
  return future_done(&task->future) ? ORPHANED : PARKED;
}

static bool is_waiting(lua_State *L, struct neap *rt, lua_State *co, int index) {
  if (co == rt->L) return L != co; /* the main coroutine: at the bottom of a C program it looks suspended */
  return lua_status(co) != LUA_OK && parking_of(L, rt, index) != NOT_PARKED;
}

/* --- running --- */

enum { RAN_ERROR = -1, RAN_AWAITING = -2 };

/* (coroutine): marks it as parked. Under want of memory it goes without. */
static int park(lua_State *L) {
  struct neap *rt = runtime_get(L);
  set_parked(L, rt, 1, rt->current);
  return 0;
}

static void try_park(lua_State *L, int index) {
  lua_pushcfunction(L, park);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* Closes [co], whose <close> variables run where nothing can await. */
static int close_coroutine(lua_State *L, struct neap *rt, lua_State *co) {
  lua_State *active = rt->active;
  bool barrier = rt->barrier;
  if (active == L) rt->active = co;
  rt->barrier = true;
  int status = thread_close(co, L);
  rt->active = active;
  rt->barrier = barrier;
  return status;
}

static bool is_resumable(lua_State *co) {
  lua_Debug ar;
  if (lua_status(co) == LUA_YIELD) return true;
  return lua_status(co) == LUA_OK && !lua_getstack(co, 0, &ar);
}

/* Runs [co], which lies at [index] of L, with [nargs] values on its own stack. Returns the count of
 * values it yielded or returned, which are on its stack; or RAN_ERROR, with the error there; or
 * RAN_AWAITING: the caller must yield, and come back here with nothing. With [closes] a coroutine that
 * fails is closed, under the scopes that it opened. */
static int run(lua_State *L, struct neap *rt, lua_State *co, int index, int nargs, bool closes) {
  int results;
  if (rt->limits) limits_check_step(L, rt);
  struct task *task = is_resumable(co) ? rt->current : NULL;
  lua_State *active = rt->active;
  bool barrier = rt->barrier;
  if (task && active == L) {
    rt->active = co;
    rt->barrier = barrier || !lua_isyieldable(L);
    if (!list_empty(&rt->scopes)) scope_attach(rt, task, co);
  }
  int status = lua_resume(co, L, nargs, &results);
  rt->active = active;
  rt->barrier = barrier;
  if (status == LUA_YIELD && rt->suspending) {
    try_park(L, index);
    return RAN_AWAITING;
  }
  bool failed = status != LUA_OK && status != LUA_YIELD && lua_status(co) != LUA_OK;
  if (failed && closes) close_coroutine(L, rt, co);
  if (failed && !closes) require_abandon(L, co);
  if (task && task->scope) scope_detach(rt, task, co);
  if (status == LUA_YIELD && rt->limits) limits_check_step(L, rt); /* it may be what made it yield */
  return status == LUA_OK || status == LUA_YIELD ? results : RAN_ERROR;
}

static void check_resumable(lua_State *L, struct neap *rt, lua_State *co, int index, int nargs) {
  if (is_waiting(L, rt, co, index)) luaL_error(L, "cannot resume non-suspended coroutine");
  if (!lua_checkstack(co, nargs)) luaL_error(L, "too many arguments to resume");
}

/* Moves what [co] gave to L. Returns false, with a message on top, if L has no room. */
static bool take_results(lua_State *L, lua_State *co, int count) {
  if (!lua_checkstack(L, count + 1)) {
    lua_pop(co, count);
    lua_pushliteral(L, "too many results to resume");
    return false;
  }
  lua_xmove(co, L, count);
  return true;
}

/* --- coroutine.resume --- */

static int resume_went_on(lua_State *L, int status, lua_KContext context);

static int finish_resume(lua_State *L, lua_State *co, int count) {
  if (count == RAN_AWAITING) return lua_yieldk(L, 0, 0, resume_went_on);
  bool ok = count >= 0 && take_results(L, co, count);
  if (count == RAN_ERROR) lua_xmove(co, L, 1);
  if (!ok) count = 1;
  lua_pushboolean(L, ok);
  lua_insert(L, -(count + 1));
  return count + 1;
}

static int resume_went_on(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct neap *rt = runtime_of(L);
  lua_State *co = lua_tothread(L, 1);
  set_parked(L, rt, 1, NULL);
  return finish_resume(L, co, run(L, rt, co, 1, 0, false));
}

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

static int l_resume(lua_State *L) {
  struct neap *rt = runtime_of(L);
  lua_State *co = check_coroutine(L);
  int nargs = lua_gettop(L) - 1;
  if (is_waiting(L, rt, co, 1)) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
    return 2;
  }
  if (!lua_checkstack(co, nargs)) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "too many arguments to resume");
    return 2;
  }
  lua_xmove(L, co, nargs);
  return finish_resume(L, co, run(L, rt, co, 1, nargs, false));
}

/* --- coroutine.wrap --- */

static int wrap_went_on(lua_State *L, int status, lua_KContext context);

/* As in Lua, an error closes the coroutine, and a string gets the position of the caller. */
static int raise_from(lua_State *L, lua_State *co) {
  lua_xmove(co, L, 1);
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int finish_wrap(lua_State *L, lua_State *co, int count) {
  if (count == RAN_AWAITING) return lua_yieldk(L, 0, 0, wrap_went_on);
  if (count == RAN_ERROR) return raise_from(L, co);
  return take_results(L, co, count) ? count : lua_error(L);
}

static int wrap_went_on(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct neap *rt = runtime_of(L);
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  set_parked(L, rt, lua_upvalueindex(2), NULL);
  return finish_wrap(L, co, run(L, rt, co, lua_upvalueindex(2), 0, true));
}

static int l_wrapped(lua_State *L) {
  struct neap *rt = runtime_of(L);
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  int nargs = lua_gettop(L);
  check_resumable(L, rt, co, lua_upvalueindex(2), nargs);
  lua_xmove(L, co, nargs);
  return finish_wrap(L, co, run(L, rt, co, lua_upvalueindex(2), nargs, true));
}

static int l_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  runtime_push(L);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  limits_guard(L, runtime_of(L));
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, l_wrapped, 2);
  return 1;
}

/* --- a coroutine as an awaitable --- */

enum { WENT_AWAITING, WENT_SWITCHING };

static int runner_went_on(lua_State *L, int status, lua_KContext context);

static int finish_runner(lua_State *L, lua_State *co, int count) {
  if (count == RAN_AWAITING) return lua_yieldk(L, 0, WENT_AWAITING, runner_went_on);
  if (count == RAN_ERROR) {
    lua_xmove(co, L, 1);
    return lua_error(L);
  }
  if (lua_status(co) == LUA_YIELD) {
    lua_pop(co, count);
    return op_switch_then(L, "await", WENT_SWITCHING, runner_went_on);
  }
  return take_results(L, co, count) ? count : lua_error(L);
}

static int runner_went_on(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct neap *rt = runtime_of(L);
  lua_State *co = lua_tothread(L, 1);
  if (context == WENT_AWAITING) {
    set_parked(L, rt, 1, NULL);
  } else if (rt->current->wake == WAKE_CANCEL) {
    close_coroutine(L, rt, co);
    return error_raise_cancelled(L, rt);
  }
  return finish_runner(L, co, run(L, rt, co, 1, 0, true));
}

static int l_run_coroutine(lua_State *L) {
  struct neap *rt = runtime_of(L);
  lua_State *co = check_coroutine(L);
  int nargs = lua_gettop(L) - 1;
  check_resumable(L, rt, co, 1, nargs);
  lua_xmove(L, co, nargs);
  return finish_runner(L, co, run(L, rt, co, 1, nargs, true));
}

void coroutine_push_runner(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &runner_key); }

/* --- the rest of the library --- */

static const char *status_of(lua_State *L, struct neap *rt, lua_State *co, int index) {
  lua_Debug ar;
  if (L == co) return "running";
  if (co == rt->L) return "normal";
  switch (parking_of(L, rt, index)) {
    case PARKED:
      return "normal";
    case ORPHANED:
    case NOT_PARKED:
      break;
  }
  switch (lua_status(co)) {
    case LUA_YIELD:
      return "suspended";
    case LUA_OK:
      if (lua_getstack(co, 0, &ar)) return "normal";
      return lua_gettop(co) == 0 ? "dead" : "suspended";
    default:
      return "dead";
  }
}

static int l_status(lua_State *L) {
  lua_State *co = check_coroutine(L);
  lua_pushstring(L, status_of(L, runtime_of(L), co, 1));
  return 1;
}

static int l_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  const char *status = status_of(L, runtime_of(L), co, 1);
  if (*status != 's' && *status != 'd')
    return luaL_error(L, "cannot close a %s coroutine", status);
  if (close_coroutine(L, runtime_of(L), co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

static bool in_task_itself(struct neap *rt, lua_State *L) {
  return rt->current && rt->current->L == L;
}

/* The body of the main task passes for the main coroutine that it would be in plain Lua. */
static int l_running(lua_State *L) {
  struct neap *rt = runtime_of(L);
  bool is_main = lua_pushthread(L) == 1;
  if (in_task_itself(rt, L)) {
    if (!rt->current->escaped) {
      rt->current->escaped = true;
      set_parked(L, rt, lua_gettop(L), rt->current);
    }
    is_main = rt->current == rt->body;
  }
  lua_pushboolean(L, is_main);
  return 2;
}

static int l_isyieldable(lua_State *L) {
  lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  lua_pushboolean(L, !in_task_itself(runtime_of(L), co) && lua_isyieldable(co));
  return 1;
}

static int l_yield(lua_State *L) {
  if (in_task_itself(runtime_of(L), L)) {
    lua_pushliteral(L, "attempt to yield from outside a coroutine");
    return lua_error(L);
  }
  return lua_yield(L, lua_gettop(L));
}

static const luaL_Reg replacements[] = {
    {"resume", l_resume},   {"wrap", l_wrap},       {"close", l_close},
    {"status", l_status},   {"running", l_running}, {"isyieldable", l_isyieldable},
    {"yield", l_yield},     {NULL, NULL},
};

/* Pushes the coroutine that the suspended [co] runs by a function of ours, or nothing. */
static lua_State *push_inner(lua_State *L, lua_State *co) {
  lua_Debug ar;
  if (!lua_getstack(co, 0, &ar) || !lua_checkstack(co, 2) || !lua_checkstack(L, 2)) return NULL;
  lua_getinfo(co, "f", &ar);
  lua_CFunction function = lua_tocfunction(co, -1);
  const char *found = NULL;
  if (function == l_wrapped)
    found = lua_getupvalue(co, -1, 2);
  else if (function == l_resume || function == l_run_coroutine)
    found = lua_getlocal(co, &ar, 1);
  lua_State *inner = found ? lua_tothread(co, -1) : NULL;
  if (found) lua_xmove(co, L, 1);
  lua_pop(co, 1);
  if (found && !inner) lua_pop(L, 1);
  return inner;
}

int coroutine_push_chain(lua_State *L, lua_State *co) {
  int count = 1;
  if (!lua_checkstack(co, 1) || !lua_checkstack(L, 1)) return 0;
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  while ((co = push_inner(L, co))) count++;
  return count;
}

void coroutine_close_chain(lua_State *L, lua_State *co) {
  int count = coroutine_push_chain(L, co);
  for (; count > 1; count--) {
    thread_close(lua_tothread(L, -1), L);
    lua_pop(L, 1);
  }
  lua_pop(L, count);
  thread_close(co, L);
}

/* Where the table `coroutine` is a host's, or a script's, it may be gone. */
void coroutine_install(lua_State *L) {
  int top = lua_gettop(L);
  bool table = lua_getglobal(L, "coroutine") == LUA_TTABLE;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &library_key);
  lua_newtable(L); /* what is replaced */
  for (const luaL_Reg *entry = replacements; table && entry->name; entry++) {
    lua_getfield(L, top + 1, entry->name);
    lua_setfield(L, top + 3, entry->name);
    lua_getfield(L, top + 2, entry->name);
    lua_setfield(L, top + 1, entry->name);
  }
  if (table && !runtime_get(L)->installed) lua_rawsetp(L, LUA_REGISTRYINDEX, &replaced_key);
  runtime_get(L)->installed = true;
  lua_settop(L, top);
}

void coroutine_uninstall(lua_State *L) {
  int top = lua_gettop(L);
  bool table = lua_getglobal(L, "coroutine") == LUA_TTABLE;
  table = lua_rawgetp(L, LUA_REGISTRYINDEX, &replaced_key) == LUA_TTABLE && table;
  for (const luaL_Reg *entry = replacements; table && entry->name; entry++) {
    lua_getfield(L, top + 1, entry->name);
    bool ours = lua_tocfunction(L, -1) == entry->func;
    lua_getfield(L, top + 2, entry->name);
    if (ours) lua_setfield(L, top + 1, entry->name);
    lua_settop(L, top + 2);
  }
  lua_settop(L, top);
}

void coroutine_open(lua_State *L, struct neap *rt) {
  (void)rt;
  weak_table_new(L, "k");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &parked_key);
  lua_newtable(L);
  runtime_push(L);
  luaL_setfuncs(L, replacements, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &library_key);
  runtime_push(L);
  lua_pushcclosure(L, l_run_coroutine, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &runner_key);
}
