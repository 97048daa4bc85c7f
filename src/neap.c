/* The public functions, and the module: the rooms below put together. */
#include "neap.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "core/coroutine.h"
#include "core/deadlock.h"
#include "core/embedded.h"
#include "core/future.h"
#include "core/library.h"
#include "core/require.h"
#include "core/runtime.h"
#include "core/task.h"
#include "io/io.h"
#include "thread/channel.h"
#include "thread/copy.h"

/* Registry keys: the modules that are loaded, by name, made when all is open; the task that was spawned last. */
static const char modules_key, spawned_key;

/* --- the module --- */

/* A module is loaded once for a state, even if package.loaded forgets it. */
static int load_embedded(lua_State *L) {
  const struct embedded_module *module = lua_touserdata(L, lua_upvalueindex(1));
  lua_rawgetp(L, LUA_REGISTRYINDEX, &modules_key);
  if (lua_getfield(L, -1, module->name) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  if (luaL_loadbufferx(L, module->source, module->length, module->chunkname, "t") != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, module->name);
  lua_call(L, 1, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, module->name);
  return 1;
}

/* Lua names a function by the loaded module that it finds it in: the one that scripts know is "neap". So the
 * functions stand behind an empty table. */
static int load_core(lua_State *L) {
  runtime_get(L)->used = true;
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  library_push(L);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  return 1;
}

static void preload_modules(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, load_core);
  lua_setfield(L, -2, "neap.core");
  for (const struct embedded_module *module = embedded_modules; module->name; module++) {
    lua_pushlightuserdata(L, (void *)module);
    lua_pushcclosure(L, load_embedded, 1);
    lua_setfield(L, -2, module->name);
  }
  lua_pop(L, 1);
}

/* NEAP_DEBUG=1 turns debug mode on, unless the environment is to be ignored. */
static bool debug_is_wanted(lua_State *L) {
  const char *value = getenv("NEAP_DEBUG");
  lua_getfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  bool ignored = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return !ignored && value && *value && strcmp(value, "0") != 0;
}

static void open_rooms(lua_State *L) {
  struct neap *rt = runtime_new(L, NULL);
  rt->debug = debug_is_wanted(L);
  library_open(L, rt);
  library_push(L);
  io_open(L, rt);
  copy_open(L, rt);
  channel_open(L, rt);
  lua_pushliteral(L, NEAP_VERSION);
  lua_setfield(L, -2, "version");
  lua_pop(L, 1);
  preload_modules(L);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &modules_key);
}

/* Opening that failed for want of memory begins again, with another runtime. */
static bool is_open(lua_State *L) {
  bool open = lua_rawgetp(L, LUA_REGISTRYINDEX, &modules_key) != LUA_TNIL;
  lua_pop(L, 1);
  return open;
}

int luaopen_neap(lua_State *L) {
  if (!is_open(L)) open_rooms(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_getfield(L, -1, "neap");
  lua_call(L, 0, 1);
  return 1;
}

/* --- embedding --- */

static int open_all(lua_State *L) {
  const neap_config *config = lua_touserdata(L, 1);
  if (config && config->ignore_environment) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  luaL_openlibs(L);
  open_rooms(L);
  coroutine_install(L);
  require_install(L);
  runtime_get(L)->gc_pause = lua_gc(L, LUA_GCSETPAUSE, 200);
  lua_gc(L, LUA_GCSETPAUSE, runtime_get(L)->gc_pause);
  return 0;
}

neap_t *neap_new(const neap_config *config) {
  lua_State *L = luaL_newstate();
  if (!L) return NULL;
  lua_pushcfunction(L, open_all);
  lua_pushlightuserdata(L, (void *)config);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lua_close(L);
    return NULL;
  }
  return runtime_get(L);
}

lua_State *neap_state(neap_t *neap) { return neap->L; }

uv_loop_t *neap_loop(neap_t *neap) { return neap->loop; }

static int spawn(lua_State *L) {
  struct neap *rt = runtime_get(L);
  rt->main = rt->body = task_new(L, rt, 1, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &spawned_key);
  return 0;
}

int neap_spawn(neap_t *neap, int nargs) {
  lua_State *L = neap->L;
  lua_pushcfunction(L, spawn);
  lua_insert(L, -(nargs + 2));
  return lua_pcall(L, nargs + 1, 0, 0);
}

static struct task *push_spawned(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &spawned_key);
  return lua_touserdata(L, -1);
}

static int push_deadlock(lua_State *L) {
  deadlock_push_error(L, runtime_get(L));
  return 1;
}

neap_run_result neap_run(neap_t *neap, neap_run_mode mode) {
  lua_State *L = neap->L;
  struct task *task = push_spawned(L);
  enum run_result result = runtime_run(neap, mode == NEAP_UNTIL_MAIN && task ? &task->future : NULL);
  lua_pop(L, 1);
  if (result != RUN_IDLE) return result == RUN_DONE ? NEAP_DONE : NEAP_STOPPED;
  lua_pushcfunction(L, push_deadlock);
  lua_pcall(L, 0, 1, 0);
  return NEAP_DEADLOCKED;
}

static int push_result(lua_State *L) { return future_push_result(L, 1); }

int neap_result(neap_t *neap) {
  lua_State *L = neap->L;
  struct task *task = push_spawned(L);
  int base = lua_gettop(L);
  if (!task || !future_done(&task->future)) return lua_settop(L, base - 1), LUA_YIELD;
  lua_pushcfunction(L, push_result);
  lua_pushvalue(L, base);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  if (status != LUA_OK) future_push_detail(L, base, "traceback");
  lua_remove(L, base);
  return status;
}

void neap_cancel_all(neap_t *neap) {
  list_each(node, &neap->tasks)
    task_cancel_quietly(neap, container_of(node, struct task, link));
}

static int report_failures(lua_State *L) {
  future_report_failures(L, runtime_get(L), true);
  return 0;
}

unsigned neap_report_errors(neap_t *neap) {
  lua_pushcfunction(neap->L, report_failures);
  if (lua_pcall(neap->L, 0, 0, 0) != LUA_OK) lua_pop(neap->L, 1);
  return neap->reported;
}

void neap_use_virtual_clock(neap_t *neap) { runtime_set_virtual(neap, true); }

void neap_free(neap_t *neap) {
  if (!neap) return;
  lua_State *L = neap->L;
  runtime_free(neap);
  lua_close(L);
}
