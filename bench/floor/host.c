/* The floor of awaiting C: a C function that calls an empty one by lua_pcallk; and a worker thread that is
 * handed something and gives it back by uv_async_send, without Lua. */
#include <lauxlib.h>
#include <lua.h>
#include <uv.h>

#include "../lib/meter.h"
#include "../lib/worker.h"

/* --- at once --- */

static const char body[] = "local call, n = ...\n"
                           "for _ = 1, n do call() end";

static int l_nothing(lua_State *L) {
  (void)L;
  return 0;
}

static int called(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

static int l_call(lua_State *L) {
  lua_pushcfunction(L, l_nothing);
  return called(L, lua_pcallk(L, 0, 0, 0, 0, called), 0);
}

static double ns_at_once(long n) {
  int nresults;
  lua_State *L = luaL_newstate(), *co = lua_newthread(L);
  luaL_loadstring(co, body);
  lua_pushcfunction(co, l_call);
  lua_pushinteger(co, n);
  double begin = meter_cpu_s();
  if (lua_resume(co, L, 2, &nresults) != LUA_OK) abort();
  double end = meter_cpu_s();
  lua_close(L);
  return (end - begin) / (double)n * 1e9;
}

/* --- in a worker --- */

static struct baton orders = BATON_INIT;
static uv_async_t done;
static long left;
static char no_more;

static void *give_back(void *unused) {
  (void)unused;
  while (baton_take(&orders) != &no_more) uv_async_send(&done);
  return NULL;
}

static void on_done(uv_async_t *async) {
  if (--left > 0)
    baton_give(&orders, async);
  else
    uv_stop(async->loop);
}

static void round_trips(uv_loop_t *loop, long n) {
  left = n;
  baton_give(&orders, &done);
  uv_run(loop, UV_RUN_DEFAULT);
}

static void report_worker(long n) {
  uv_loop_t *loop = uv_default_loop();
  uv_async_init(loop, &done, on_done);
  pthread_t worker = worker_start(give_back, NULL);
  round_trips(loop, meter_count(1000));
  double begin = meter_wall_s(), cpu = meter_cpu_s();
  round_trips(loop, n);
  meter_report("host_worker_us", (meter_wall_s() - begin) / (double)n * 1e6);
  meter_report("host_worker_cpu_us", (meter_cpu_s() - cpu) / (double)n * 1e6);
  baton_give(&orders, &no_more);
  pthread_join(worker, NULL);
}

int main(void) {
  ns_at_once(meter_count(100000));
  meter_report("host_at_once_ns", ns_at_once(meter_count(5000000)));
  report_worker(meter_count(30000));
  return 0;
}
