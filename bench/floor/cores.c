/* What two cores are good for without neap: two Lua states, one after the other and in two threads. On a busy
 * machine this is less than two. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "../lib/meter.h"
#include "../lib/worker.h"

static const char work[] = "local n = ...\n"
                           "local sum, list = 0, {}\n"
                           "for i = 1, n do\n"
                           "  list[i % 1000 + 1] = {i}\n"
                           "  sum = sum + #list[i % 1000 + 1] + i % 7\n"
                           "end\n"
                           "return sum\n";

static void *run(void *count) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_loadstring(L, work);
  lua_pushinteger(L, *(long *)count);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) abort();
  lua_close(L);
  return NULL;
}

struct cost {
  double wall_s, cpu_s;
};

static struct cost since(struct cost begin) {
  return (struct cost){meter_wall_s() - begin.wall_s, meter_cpu_s() - begin.cpu_s};
}

int main(void) {
  long count = meter_count(4000000);
  struct cost begin = since((struct cost){0, 0});
  run(&count);
  run(&count);
  struct cost apart = since(begin);
  begin = since((struct cost){0, 0});
  pthread_t first = worker_start(run, &count), second = worker_start(run, &count);
  pthread_join(first, NULL);
  pthread_join(second, NULL);
  struct cost at_once = since(begin);
  meter_report("cores_times", apart.wall_s / at_once.wall_s);
  meter_report("cores_cpu_times", at_once.cpu_s / apart.cpu_s);
  return 0;
}
