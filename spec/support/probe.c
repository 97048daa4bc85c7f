/* What a spec cannot do in Lua alone: be in another thread, be another runtime, and have bare descriptors. */
#include <lauxlib.h>
#include <lua.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "neap.h"

struct caller {
  lua_State *L;
  pid_t id; /* of the thread */
};

static void *call(void *argument) {
  struct caller *caller = argument;
  caller->id = gettid();
  lua_pushboolean(caller->L, lua_pcall(caller->L, lua_gettop(caller->L) - 1, LUA_MULTRET, 0) == LUA_OK);
  return NULL;
}

/* in_thread(fn, ...): pcall(fn, ...) in another thread, for which this one waits, so that both may use
 * the one state. */
static int l_in_thread(lua_State *L) {
  int nargs = lua_gettop(L);
  pthread_t thread;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *other = lua_newthread(L);
  lua_insert(L, 1);
  luaL_checkstack(other, nargs, NULL);
  lua_xmove(L, other, nargs);
  struct caller caller = {.L = other};
  if (pthread_create(&thread, NULL, call, &caller)) return luaL_error(L, "cannot start a thread");
  pthread_join(thread, NULL);
  while (tgkill(getpid(), caller.id, 0) == 0) sched_yield(); /* the system lists it for a moment more */
  int count = lua_gettop(other);
  luaL_checkstack(L, count, NULL);
  lua_xmove(other, L, count);
  lua_insert(L, 2);
  return count;
}

/* in_runtime(code): runs code as the body of another runtime; true and the first value that it
 * returned, as a string, or false and the error. */
static int l_in_runtime(lua_State *L) {
  const char *code = luaL_checkstring(L, 1);
  neap_t *neap = neap_new(NULL);
  if (!neap) return luaL_error(L, "cannot make a runtime");
  lua_State *other = neap_state(neap);
  int status = luaL_loadstring(other, code);
  if (status == LUA_OK) status = neap_call(neap, 0, NULL);
  neap_run(neap);
  lua_pushboolean(L, status == LUA_OK);
  lua_pushstring(L, lua_gettop(other) > 0 ? luaL_tolstring(other, 1, NULL) : NULL);
  neap_free(neap);
  return 2;
}

/* address(object): the light userdata that points to it. */
static int l_address(lua_State *L) {
  lua_pushlightuserdata(L, lua_touserdata(L, 1));
  return 1;
}

/* listen(path): a blocking descriptor that listens there; without a path at a free port of 127.0.0.1. */
static int l_listen(lua_State *L) {
  const char *path = luaL_optstring(L, 1, NULL);
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (path) strncpy(un.sun_path, path, sizeof un.sun_path - 1);
  int fd = socket(path ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
  int bound = path ? bind(fd, (struct sockaddr *)&un, sizeof un) : bind(fd, (struct sockaddr *)&in, sizeof in);
  if (bound || listen(fd, 8)) return luaL_error(L, "cannot listen");
  lua_pushinteger(L, fd);
  return 1;
}

/* close(fd) */
static int l_close(lua_State *L) {
  lua_pushboolean(L, close((int)luaL_checkinteger(L, 1)) == 0);
  return 1;
}

static const luaL_Reg functions[] = {
    {"listen", l_listen},
    {"close", l_close},
    {"in_thread", l_in_thread},
    {"in_runtime", l_in_runtime},
    {"address", l_address},
    {NULL, NULL},
};

__attribute__((visibility("default"))) int luaopen_neap_probe(lua_State *L);

int luaopen_neap_probe(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
