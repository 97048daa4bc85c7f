/* sysfaults.c for Lua, in a process where it is preloaded. */
#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <unistd.h>

#include "sysfaults.h"

/* The function of the preloaded library; raises if there is none. */
static void *preloaded(lua_State *L, const char *name) {
  void *function = dlsym(RTLD_DEFAULT, name);
  if (!function) luaL_error(L, "sysfaults.so is not preloaded");
  return function;
}

#define CALL(name) ((__typeof__(&(name)))preloaded(L, #name))

/* arm(pipes, function, error, k): from now on the k-th call of the function fails. arm(pipes): calls are counted; those
 * that read and write pipes if `pipes` is true. */
static int l_arm(lua_State *L) {
  const char *name = luaL_optstring(L, 2, NULL);
  int error = name ? CALL(sysfaults_error)(luaL_checkstring(L, 3)) : 0;
  if (name) luaL_argcheck(L, error, 3, "not an error that is known");
  CALL(sysfaults_arm)(name, error, (int)luaL_optinteger(L, 4, 1), lua_toboolean(L, 1));
  return 0;
}

/* disarm(): ends that; true if the call came. */
static int l_disarm(lua_State *L) {
  lua_pushboolean(L, CALL(sysfaults_disarm)());
  return 1;
}

/* counts(): a table of how often each function was called. */
static int l_counts(lua_State *L) {
  lua_newtable(L);
  for (const struct sysfaults_count *count = CALL(sysfaults_counts)(); count->name; count++) {
    lua_pushinteger(L, count->calls);
    lua_setfield(L, -2, count->name);
  }
  return 1;
}

/* pipe(): two descriptors. */
static int l_pipe(lua_State *L) {
  int fds[2];
  if (pipe(fds)) return luaL_error(L, "no pipe");
  lua_pushinteger(L, fds[0]);
  lua_pushinteger(L, fds[1]);
  return 2;
}

/* close(fd) */
static int l_close(lua_State *L) {
  close((int)luaL_checkinteger(L, 1));
  return 0;
}

static int l_pid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

static const luaL_Reg functions[] = {
    {"pid", l_pid},
    {"pipe", l_pipe},
    {"close", l_close},
    {"arm", l_arm},
    {"disarm", l_disarm},
    {"counts", l_counts},
    {NULL, NULL},
};

__attribute__((visibility("default"))) int luaopen_neap_sysfaults(lua_State *L);

int luaopen_neap_sysfaults(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
