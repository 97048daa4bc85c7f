/* The floor of a queue: two bare coroutines and a ring in C between them, which each leaves only
 * when it is full or empty. No tasks, no list of who waits. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>

#include "../lib/meter.h"

struct ring {
  int capacity, first, count;
  lua_Integer items[128];
};

static struct ring ring;

static const char producer[] = "local put, n = ...\n"
                               "for i = 1, n do put(i) end";
static const char consumer[] = "local get, n = ...\n"
                               "for i = 1, n do assert(get() == i) end";

static int l_put(lua_State *L);
static int l_get(lua_State *L);

static int put_resumed(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return l_put(L);
}

static int l_put(lua_State *L) {
  if (ring.count == ring.capacity) return lua_yieldk(L, 0, 0, put_resumed);
  int last = ring.first + ring.count++;
  ring.items[last < ring.capacity ? last : last - ring.capacity] = luaL_checkinteger(L, 1);
  return 0;
}

static int get_resumed(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return l_get(L);
}

static int l_get(lua_State *L) {
  if (ring.count == 0) return lua_yieldk(L, 0, 0, get_resumed);
  lua_pushinteger(L, ring.items[ring.first]);
  if (++ring.first == ring.capacity) ring.first = 0;
  ring.count--;
  return 1;
}

/* A coroutine that will call [call] [n] times; it stays on L's stack. */
static lua_State *new_coroutine(lua_State *L, const char *body, lua_CFunction call, long n) {
  lua_State *co = lua_newthread(L);
  luaL_loadstring(co, body);
  lua_pushcfunction(co, call);
  lua_pushinteger(co, n);
  return co;
}

/* Whether it has yielded, and not ended. */
static bool resume(lua_State *L, lua_State *co, int nargs) {
  int nresults, status = lua_resume(co, L, nargs, &nresults);
  if (status > LUA_YIELD) abort();
  return status == LUA_YIELD;
}

static double ns_per_item(int capacity, long n) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  ring = (struct ring){.capacity = capacity};
  lua_State *put = new_coroutine(L, producer, l_put, n);
  lua_State *get = new_coroutine(L, consumer, l_get, n);
  bool putting = true, getting = true;
  double begin = meter_cpu_s();
  for (int nargs = 2; getting; nargs = 0) {
    if (putting) putting = resume(L, put, nargs);
    getting = resume(L, get, nargs);
  }
  double end = meter_cpu_s();
  lua_close(L);
  return (end - begin) / (double)n * 1e9;
}

int main(void) {
  static const int capacities[] = {1, 128};
  for (int i = 0; i < 2; i++) {
    char name[32];
    snprintf(name, sizeof(name), "queue_%d_ns", capacities[i]);
    ns_per_item(capacities[i], meter_count(100000));
    meter_report(name, ns_per_item(capacities[i], meter_count(1000000)));
  }
  return 0;
}
