/* As in Lua, with two things more: whatever it calls may await, and a task that requires what another
 * task is loading waits for it.
 *
 *   - The waiter gets the value, or the very error; a failed module is loaded again when it is required
 *     the next time.
 *   - Cancelling a waiter leaves the load alone. If the loading task is cancelled or killed, the first
 *     waiter loads the module anew, and the others wait for that.
 *   - A task that requires what it is loading itself runs the loader again, as in Lua.
 *   - Tasks whose modules wait for each other: the one that would close the circle gets an error. */
#include "core/require.h"

#include <lauxlib.h>
#include <lualib.h>

#include "core/error.h"
#include "core/op.h"
#include "core/runtime.h"
#include "core/task.h"
#include "core/wait_queue.h"

/* Registry: what is being loaded, by name (weak values); the `require` that was replaced. */
static const char loads_key, replaced_key;

enum load_state { LOADING, LOADED, FAILED, ABANDONED };

/* A module on its way: a <close> value of the call that loads it. Its slot is never popped, only closed
 * when that call ends: in some releases of Lua popping such a slot is not safe. */
struct load {
  struct neap *rt;
  struct wait_queue waiters;
  struct task *task;   /* whose it is, or NULL; kept alive by a user value, like the next two */
  lua_State *L;        /* the coroutine that loads it */
  const char *name;
  uint8_t state;
};

/* Its user values. RESULT: the module or the error, and until then the coroutine. */
enum { LOAD_RESULT = 1, LOAD_NAME, LOAD_TASK, LOAD_USER_VALUES = LOAD_TASK };

/* Where things lie in the frame of l_require. */
enum { FRAME_NAME = 1, FRAME_LOADED, FRAME_LOAD, FRAME_SEARCHERS, FRAME_MESSAGE };

/* --- waiting --- */

static void drop_wait(struct neap *rt, struct op *op) {
  (void)rt;
  wait_op_leave(op);
}

static const struct op_kind wait_kind = {
    .name = "require",
    .size = sizeof(struct wait_op),
    .drop = drop_wait,
    .local = true,
};

static int l_wait(lua_State *L) {
  struct load *load = lua_touserdata(L, 1);
  return wait_op_park(L, wait_op_begin(L, &load->waiters, &wait_kind));
}

/* Nobody waits in a circle by now: only [load], if the running task waits for it, can close one. */
static void check_circle(lua_State *L, struct neap *rt, struct load *load) {
  for (struct task *task = load->task; task;) {
    struct op *op = task->op;
    if (!op || op->kind != &wait_kind || op->state != OP_WAITING) return;
    struct load *next = container_of(((struct wait_op *)op)->queue, struct load, waiters);
    if (next->task == rt->current)
      error_misuse(L, "require: modules '%s' and '%s' wait for each other", load->name, next->name);
    task = next->task;
  }
}

/* --- loads --- */

/* Pushes what the running task has to wait for, and returns it; or NULL, with nothing to wait for. What
 * is loaded by the task itself, or by a coroutine that has resumed it, is not waited for. */
static struct load *push_load_of_other(lua_State *L, struct neap *rt) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loads_key);
  lua_getfield(L, -1, lua_tostring(L, FRAME_NAME));
  lua_remove(L, -2);
  struct load *load = lua_touserdata(L, -1);
  if (load && load->task != rt->current && lua_status(load->L) == LUA_YIELD) return load;
  lua_pop(L, 1);
  return NULL;
}

/* The load at [index] is no longer found under its name. */
static void unlist(lua_State *L, int index) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loads_key);
  lua_getiuservalue(L, index, LOAD_NAME);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  bool listed = lua_rawequal(L, -1, index);
  lua_pop(L, 1);
  lua_pushnil(L);
  if (listed)
    lua_rawset(L, -3);
  else
    lua_pop(L, 2);
  lua_pop(L, 1);
}

/* Ends the load at [index], without allocating. */
static void end_load(lua_State *L, int index, enum load_state state) {
  struct load *load = lua_touserdata(L, index);
  load->state = state;
  unlist(L, index);
  wait_queue_give_all(load->rt, &load->waiters, 0);
}

void require_abandon(lua_State *L, lua_State *co) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loads_key);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    struct load *load = lua_touserdata(L, -1);
    if (load->L == co) end_load(L, lua_gettop(L), ABANDONED);
  }
  lua_pop(L, 1);
}

/* Whether the error at [index] says nothing of the module: its task or coroutine is being ended. */
static bool is_ending(lua_State *L, struct load *load, int index) {
  lua_Debug ar;
  if (load->task && (load->task->dying || error_began_in(L, index, load->task))) return true;
  return lua_isnil(L, index) && !lua_getstack(L, 1, &ar);
}

static int l_load_close(lua_State *L) {
  struct load *load = lua_touserdata(L, 1);
  lua_settop(L, 2);
  if (load->state != LOADING) return 0;
  enum load_state state = is_ending(L, load, 2) ? ABANDONED : FAILED;
  lua_setiuservalue(L, 1, LOAD_RESULT);
  end_load(L, 1, state);
  return 0;
}

/* Puts a new load into the frame. */
static void begin_load(lua_State *L, struct neap *rt) {
  struct load *load = object_new(L, rt, OBJECT_LOAD, sizeof *load, LOAD_USER_VALUES);
  *load = (struct load){.rt = rt, .task = rt->current, .L = L};
  wait_queue_init(&load->waiters);
  lua_pushthread(L);
  lua_setiuservalue(L, FRAME_LOAD, LOAD_RESULT);
  if (load->task) {
    task_push(L, load->task);
    lua_setiuservalue(L, FRAME_LOAD, LOAD_TASK);
  }
  load->name = lua_pushstring(L, lua_tostring(L, FRAME_NAME));
  lua_setiuservalue(L, FRAME_LOAD, LOAD_NAME);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loads_key);
  lua_pushvalue(L, FRAME_LOAD);
  lua_setfield(L, -2, load->name);
  lua_pop(L, 1);
  lua_toclose(L, FRAME_LOAD);
}

/* --- require --- */

static int loader_returned(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  const char *name = lua_tostring(L, FRAME_NAME);
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else
    lua_setfield(L, FRAME_LOADED, name);
  if (lua_getfield(L, FRAME_LOADED, name) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, FRAME_LOADED, name);
  }
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, FRAME_LOAD, LOAD_RESULT);
  end_load(L, FRAME_LOAD, LOADED);
  lua_insert(L, -2);
  return 2;
}

/* The loader and its data are on top. */
static int call_loader(lua_State *L) {
  lua_insert(L, -2);
  lua_pushvalue(L, FRAME_NAME);
  lua_pushvalue(L, -3);
  lua_callk(L, 2, 1, 0, loader_returned);
  return loader_returned(L, LUA_OK, 0);
}

static void push_searcher(lua_State *L, lua_KContext number) {
  if (lua_rawgeti(L, FRAME_SEARCHERS, number) != LUA_TNIL) return;
  luaL_error(L, "module '%s' not found:%s", lua_tostring(L, FRAME_NAME),
             lua_tostring(L, FRAME_MESSAGE));
}

/* Takes the two values that a searcher returned, unless they are a loader and its data. */
static bool found_loader(lua_State *L) {
  if (lua_isfunction(L, -2)) return true;
  if (lua_isstring(L, -2)) {
    lua_pop(L, 1);
    lua_pushliteral(L, "\n\t");
    lua_insert(L, -2);
    lua_concat(L, 3);
  } else {
    lua_pop(L, 2);
  }
  return false;
}

static int searcher_returned(lua_State *L, int status, lua_KContext number);

static int search(lua_State *L, lua_KContext number) {
  for (;; number++) {
    push_searcher(L, number);
    lua_pushstring(L, lua_tostring(L, FRAME_NAME));
    lua_callk(L, 1, 2, number, searcher_returned);
    if (found_loader(L)) return call_loader(L);
  }
}

static int searcher_returned(lua_State *L, int status, lua_KContext number) {
  (void)status;
  return found_loader(L) ? call_loader(L) : search(L, number + 1);
}

static int require_now(lua_State *L);

static int waited(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct load *load = lua_touserdata(L, FRAME_LOAD);
  if (load->state == ABANDONED) return require_now(L);
  lua_getiuservalue(L, FRAME_LOAD, LOAD_RESULT);
  return load->state == LOADED ? 1 : lua_error(L);
}

/* The load is in the frame. */
static int wait_for(lua_State *L, struct neap *rt, struct load *load) {
  check_circle(L, rt, load);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, l_wait, 1);
  lua_pushvalue(L, FRAME_LOAD);
  lua_callk(L, 1, 0, 0, waited);
  return waited(L, LUA_OK, 0);
}

static int require_now(lua_State *L) {
  struct neap *rt = runtime_of(L);
  lua_settop(L, FRAME_LOADED);
  lua_getfield(L, FRAME_LOADED, lua_tostring(L, FRAME_NAME));
  if (lua_toboolean(L, -1)) return 1;
  lua_pop(L, 1);
  struct load *other = push_load_of_other(L, rt);
  if (other) return wait_for(L, rt, other);
  begin_load(L, rt);
  if (lua_getfield(L, lua_upvalueindex(2), "searchers") != LUA_TTABLE)
    return luaL_error(L, "'package.searchers' must be a table");
  lua_pushliteral(L, "");
  return search(L, 1);
}

/* Its upvalues: the runtime, and the table `package`. */
static int l_require(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  return require_now(L);
}

void require_install(lua_State *L) {
  int top = lua_gettop(L);
  lua_getglobal(L, "require");
  bool replace = lua_iscfunction(L, -1) && lua_tocfunction(L, -1) != l_require;
  lua_pushvalue(L, -1);
  if (replace) lua_rawsetp(L, LUA_REGISTRYINDEX, &replaced_key);
  runtime_push(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_LOADLIBNAME);
  lua_remove(L, -2);
  if (replace && lua_istable(L, -1)) {
    lua_pushcclosure(L, l_require, 2);
    lua_setglobal(L, "require");
  }
  lua_settop(L, top);
}

void require_uninstall(lua_State *L) {
  int top = lua_gettop(L);
  lua_getglobal(L, "require");
  bool ours = lua_tocfunction(L, -1) == l_require;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &replaced_key);
  if (ours) lua_setglobal(L, "require");
  lua_settop(L, top);
}

static const luaL_Reg load_methods[] = {{"__close", l_load_close}, {NULL, NULL}};

void require_open(lua_State *L, struct neap *rt) {
  weak_table_new(L, "v");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &loads_key);
  object_register(L, rt, OBJECT_LOAD, "neap.Load", load_methods);
  lua_pop(L, 1);
}
