/* The module, and runtimes: the rooms below put together. */
#include "neap.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "api/host.h"
#include "api/restrict.h"
#include "core/ceiling.h"
#include "core/coroutine.h"
#include "core/embedded.h"
#include "core/exit.h"
#include "core/library.h"
#include "core/limits.h"
#include "core/require.h"
#include "core/runtime.h"
#include "core/sandbox.h"
#include "fs/fs.h"
#include "io/io.h"
#include "net/net.h"
#include "process/process.h"
#include "process/signal.h"
#include "proto/proto.h"
#include "thread/room.h"

/* Registry key: the modules that are loaded, by name; made when all is open. */
static const char modules_key;

/* --- the module --- */

/* A module is loaded once for a state, even if package.loaded forgets it. */
static int load_embedded(lua_State *L) {
  const struct embedded_module *module = lua_touserdata(L, lua_upvalueindex(1));
  lua_rawgetp(L, LUA_REGISTRYINDEX, &modules_key);
  if (lua_getfield(L, -1, module->name) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  if (luaL_loadbufferx(L, module->source, module->length, module->chunkname, "t") != LUA_OK)
    return lua_error(L);
  if (restrict_push_globals(L)) lua_setupvalue(L, -2, 1);
  lua_pushstring(L, module->name);
  lua_call(L, 1, 1);
  limits_begin_anew(runtime_get(L)); /* loading neap is not the script's work */
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

/* Modules of others that neap answers for, once it is installed: names, and what they stand for. */
static const char *const stand_ins[][2] = {
    {"socket", "neap.socket"},
    {"socket.core", "neap.socket"},
    {"socket.unix", "neap.socket_unix"},
    {"ssl", "neap.ssl"},
    {NULL, NULL},
};

/* Upvalue: the name of the module that stands in. */
static int load_stand_in(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_gettable(L, -2);
  lua_call(L, 0, 1);
  return 1;
}

static void preload_stand_ins(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const char *const(*names)[2] = stand_ins; (*names)[0]; names++) {
    lua_pushstring(L, (*names)[1]);
    lua_pushcclosure(L, load_stand_in, 1);
    lua_setfield(L, -2, (*names)[0]);
  }
  lua_pop(L, 1);
}

/* install(): what a host of its own kind has from the start. */
static int l_install(lua_State *L) {
  coroutine_install(L);
  require_install(L);
  preload_stand_ins(L);
  return 0;
}

/* NEAP_DEBUG=1 turns debug mode on, unless the environment is to be ignored. */
static bool debug_is_wanted(lua_State *L) {
  const char *value = getenv("NEAP_DEBUG");
  lua_getfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  bool ignored = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return !ignored && value && *value && strcmp(value, "0") != 0;
}

/* The states of threads. */
static lua_State *make_state(bool ignore_environment) {
  neap_config config = {.ignore_environment = ignore_environment};
  neap_t *neap = neap_new(&config);
  return neap ? neap_state(neap) : NULL;
}

static void free_state(lua_State *L) { neap_free(neap_of(L)); }

static const struct thread_host thread_host = {make_state, free_state};

static struct neap *open_rooms(lua_State *L, uv_loop_t *loop) {
  struct neap *rt = runtime_new(L, loop);
  rt->debug = debug_is_wanted(L);
  library_open(L, rt);
  library_push(L);
  io_open(L, rt);
  net_open(L, rt);
  fs_open(L, rt);
  signal_open(L, rt);
  process_open(L, rt);
  proto_open(L, rt);
  thread_room_open(L, rt, &thread_host);
  lua_pushliteral(L, NEAP_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushcfunction(L, l_install);
  lua_setfield(L, -2, "install");
  lua_pop(L, 1);
  preload_modules(L);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &modules_key);
  return rt;
}

/* Opening that failed for want of memory begins again, with another runtime. */
static bool is_open(lua_State *L) {
  bool open = lua_rawgetp(L, LUA_REGISTRYINDEX, &modules_key) != LUA_TNIL;
  lua_pop(L, 1);
  return open;
}

static int open_module(lua_State *L, const char *name) {
  if (!is_open(L)) open_rooms(L, NULL);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_getfield(L, -1, name);
  lua_call(L, 0, 1);
  return 1;
}

int luaopen_neap(lua_State *L) { return open_module(L, "neap"); }

/* In the stock interpreter these may be required before "neap": Lua then looks for them in neap.so. */
NEAP_API int luaopen_neap_busted(lua_State *L);
NEAP_API int luaopen_neap_testing(lua_State *L);

int luaopen_neap_busted(lua_State *L) { return open_module(L, "neap.busted"); }

int luaopen_neap_testing(lua_State *L) { return open_module(L, "neap.testing"); }

/* --- making a runtime --- */

/* What a state of neap's own has beside the runtime. */
static void open_state(lua_State *L, const neap_config *config) {
  if (config->ignore_environment) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  if (config->limits.restricted)
    sandbox_open_libraries(L);
  else
    luaL_openlibs(L);
}

static void pace_collector(lua_State *L, struct neap *rt) {
  rt->gc_pause = lua_gc(L, LUA_GCSETPAUSE, 200);
  lua_gc(L, LUA_GCSETPAUSE, rt->gc_pause);
}

/* (config) */
static int open_all(lua_State *L) {
  const neap_config *config = lua_touserdata(L, 1);
  if (!config->state) open_state(L, config);
  struct neap *rt = open_rooms(L, config->loop);
  coroutine_install(L);
  require_install(L);
  if (!config->state) {
    exit_install(L);
    preload_stand_ins(L);
    pace_collector(L, rt);
  }
  limits_apply(L, rt, config);
  return 0;
}

static int protected_open(lua_State *L, const neap_config *config) {
  if (!lua_checkstack(L, 20)) return LUA_ERRMEM;
  lua_pushcfunction(L, open_all);
  lua_pushlightuserdata(L, (void *)config);
  int status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) lua_pop(L, 1);
  return status;
}

static neap_t *hand_out(lua_State *L, const neap_config *config) {
  struct neap *rt = runtime_get(L);
  if (config->virtual_clock) runtime_set_virtual(rt, true);
  rt->port->owns_state = !config->state;
  atomic_store(&rt->port->hold, HOLD_HOST);
  rt->port->host = (struct port_host){config->on_report, config->user};
  if (config->expects_posts) port_expect(rt);
  port_ref(rt->port);
  return rt->port;
}

/* From package.loaded and package.preload, below the top. */
static void forget_module(lua_State *L, const char *name) {
  for (int table = -3; table <= -2; table++) {
    lua_pushnil(L);
    lua_setfield(L, table, name);
  }
}

/* The same for modules of others, unless somebody has put his own in their place. */
static void forget_stand_ins(lua_State *L) {
  for (const char *const(*names)[2] = stand_ins; (*names)[0]; names++) {
    lua_getfield(L, -1, (*names)[0]);
    bool ours = lua_tocfunction(L, -1) == load_stand_in;
    lua_pop(L, 1);
    if (ours) forget_module(L, (*names)[0]);
  }
}

/* In a state of the host's: takes back what was put there. */
static int close_modules(lua_State *L) {
  coroutine_uninstall(L);
  require_uninstall(L);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &modules_key);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  forget_module(L, "neap.core");
  forget_stand_ins(L);
  for (const struct embedded_module *module = embedded_modules; module->name; module++)
    forget_module(L, module->name);
  return 0;
}

static void leave_state(lua_State *L) {
  lua_pushcfunction(L, close_modules);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static bool has_runtime(lua_State *L) {
  struct neap *rt = runtime_get(L);
  return rt && !rt->closed;
}

static neap_t *attach(lua_State *L, const neap_config *config) {
  if (has_runtime(L) || config->limits.restricted) {
    host_refuse("neap_new", has_runtime(L) ? "the state has a runtime already"
                                           : "scripts are restricted in a state of neap's own alone");
    return NULL;
  }
  if (protected_open(L, config) == LUA_OK) return hand_out(L, config);
  if (has_runtime(L)) runtime_free(runtime_get(L));
  leave_state(L);
  return NULL;
}

neap_t *neap_new(const neap_config *config) {
  neap_config defaults = {0};
  if (!config) config = &defaults;
  if (config->state) return attach(config->state, config);
  lua_State *L = luaL_newstate();
  if (!L) return NULL;
  if (protected_open(L, config) == LUA_OK) return hand_out(L, config);
  lua_close(L);
  return NULL;
}

static void free_runtime(struct neap *rt, bool owns_state) {
  lua_State *L = rt->L;
  runtime_free(rt);
  if (owns_state)
    lua_close(L);
  else
    leave_state(L);
}

/* A runtime whose state was closed is gone already. */
void neap_free(neap_t *neap) {
  if (!neap || !host_check_port(neap, "neap_free")) return;
  struct neap *rt = host_has_ended(neap) ? NULL : host_check_idle(neap, "neap_free");
  if (!rt && !host_has_ended(neap)) return;
  if (atomic_load(&neap->hold) == HOLD_NONE)
    return host_refuse("neap_free", "the runtime belongs to its Lua state");
  if (rt && uv_is_closing((uv_handle_t *)rt->uv_timer))
    return host_refuse("neap_free", "the host has closed the runtime's handles on its loop");
  atomic_store(&neap->hold, HOLD_FREEING);
  if (rt) free_runtime(rt, neap->owns_state);
  atomic_store(&neap->hold, HOLD_FREED);
  port_unref(neap);
}

lua_State *neap_state(neap_t *neap) {
  struct neap *rt = host_check(neap, "neap_state");
  return rt ? rt->L : NULL;
}

uv_loop_t *neap_loop(neap_t *neap) {
  struct neap *rt = host_check(neap, "neap_loop");
  return rt ? rt->loop : NULL;
}

size_t neap_memory(neap_t *neap) {
  struct neap *rt = host_check(neap, "neap_memory");
  return rt ? runtime_memory(rt) : 0;
}

neap_t *neap_of(lua_State *L) {
  struct neap *rt = L ? runtime_get(L) : NULL;
  return rt && !rt->closed ? rt->port : NULL;
}
