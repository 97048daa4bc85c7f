/* The floor of sleeping: coroutines, a binary heap of deadlines, and one
 * uv_timer_t under it. No futures, errors or cancellation. A coroutine that
 * ends is forgotten, and the collector takes it. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <uv.h>

#include "../lib/meter.h"

struct sleeper {
  uint64_t deadline_ns;
  lua_State *co;
  long slot; /* where the table of live coroutines holds it */
};

struct scheduler {
  lua_State *L; /* has the table of live coroutines on top of its stack */
  uv_timer_t timer;
  struct sleeper *heap; /* heap[0] is the earliest */
  long count;
  long running; /* slot of the coroutine that runs */
};

static struct scheduler sched;

static void sift_up(struct sleeper *heap, long at) {
  struct sleeper moved = heap[at];
  while (at > 0 && moved.deadline_ns < heap[(at - 1) / 2].deadline_ns) {
    heap[at] = heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  heap[at] = moved;
}

static void sift_down(struct sleeper *heap, long count) {
  struct sleeper moved = heap[0];
  long at = 0;
  for (;;) {
    long child = 2 * at + 1;
    if (child >= count) break;
    if (child + 1 < count && heap[child + 1].deadline_ns < heap[child].deadline_ns) child++;
    if (moved.deadline_ns <= heap[child].deadline_ns) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = moved;
}

static struct sleeper pop_earliest(void) {
  struct sleeper earliest = sched.heap[0];
  sched.heap[0] = sched.heap[--sched.count];
  if (sched.count > 0) sift_down(sched.heap, sched.count);
  return earliest;
}

static int l_sleep(lua_State *L) {
  struct sleeper *s = &sched.heap[sched.count];
  s->deadline_ns = uv_hrtime() + (uint64_t)(luaL_checknumber(L, 1) * 1e9);
  s->co = L;
  s->slot = sched.running;
  sift_up(sched.heap, sched.count++);
  return lua_yield(L, 0);
}

static void resume(lua_State *co, long slot, int nargs) {
  int nresults;
  sched.running = slot;
  int status = lua_resume(co, sched.L, nargs, &nresults);
  if (status > LUA_YIELD) abort();
  if (status == LUA_OK) {
    lua_pushnil(sched.L);
    lua_rawseti(sched.L, -2, slot);
  }
}

static void on_timer(uv_timer_t *timer) {
  while (sched.count > 0 && sched.heap[0].deadline_ns <= uv_hrtime()) {
    struct sleeper due = pop_earliest();
    resume(due.co, due.slot, 0);
  }
  if (sched.count > 0) {
    uint64_t now = uv_hrtime(), next = sched.heap[0].deadline_ns;
    uint64_t wait_ns = next > now ? next - now : 0;
    uv_update_time(timer->loop);
    uv_timer_start(timer, on_timer, (wait_ns + 999999) / 1000000, 0);
  }
}

/* [n] coroutines of the function below the table, which sleep up to a second. */
static void start(lua_State *L, long n) {
  srand48(1);
  for (long i = 1; i <= n; i++) {
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, -3);
    lua_xmove(L, co, 1);
    lua_rawseti(L, -2, i);
    lua_pushnumber(co, drand48());
    resume(co, i, 1);
  }
}

int main(void) {
  uv_loop_t *loop = uv_default_loop();
  lua_State *L = luaL_newstate();
  long n = meter_count(100000);
  luaL_openlibs(L);
  lua_register(L, "sleep", l_sleep);
  if (luaL_dostring(L, "return function (s) sleep(s) end")) abort();
  lua_newtable(L);
  sched.L = L;
  sched.heap = malloc((size_t)n * sizeof(*sched.heap));
  uv_timer_init(loop, &sched.timer);
  double begin = meter_cpu_s();
  start(L, n);
  on_timer(&sched.timer);
  uv_run(loop, UV_RUN_DEFAULT);
  meter_report("timers_cpu_us", (meter_cpu_s() - begin) / (double)n * 1e6);
  free(sched.heap);
  lua_close(L);
  return 0;
}
