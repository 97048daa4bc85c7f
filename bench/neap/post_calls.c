/* require "post_calls": another thread that posts to the runtime, one after the other or one by one. */
#include <lauxlib.h>
#include <lua.h>
#include <neap.h>

#include "../lib/meter.h"
#include "../lib/worker.h"

struct burst {
  neap_t *neap;
  neap_future *future; /* of all of them, settled with how many ns it took */
  long count, seen;
  double begin_s;
};

static struct burst burst;
static struct baton orders = BATON_INIT;

/* --- in the runtime's thread --- */

static void settle(neap_t *neap, double value) {
  lua_State *L = neap_state(neap);
  lua_pushnumber(L, value);
  neap_settle(L, burst.future, LUA_OK, 1);
}

static void on_one(neap_t *neap, void *unused) {
  (void)unused;
  settle(neap, 0);
}

static void on_each(neap_t *neap, void *unused) {
  (void)unused;
  if (++burst.seen == burst.count) settle(neap, (meter_wall_s() - burst.begin_s) / (double)burst.count * 1e9);
}

/* --- in the other thread --- */

static void post(neap_posted *posted) {
  if (neap_post(burst.neap, posted, NULL) != 0) abort();
}

static void *run(void *unused) {
  (void)unused;
  while (baton_take(&orders) == &burst) {
    if (burst.count == 1) {
      post(on_one);
      continue;
    }
    burst.begin_s = meter_wall_s();
    for (long i = 0, n = burst.count; i < n; i++) post(on_each);
  }
  return NULL;
}

/* --- what scripts call --- */

static pthread_t thread;

static int l_start(lua_State *L) {
  burst.neap = neap_of(L);
  thread = worker_start(run, NULL);
  return 0;
}

/* posts(n): a future that is completed when the other thread has posted so many. */
static int l_posts(lua_State *L) {
  burst.count = luaL_checkinteger(L, 1);
  burst.seen = 0;
  burst.future = neap_future_new(L);
  if (!burst.future) abort();
  baton_give(&orders, &burst);
  return 1;
}

static int l_stop(lua_State *L) {
  (void)L;
  baton_give(&orders, &orders);
  pthread_join(thread, NULL);
  return 0;
}

int luaopen_post_calls(lua_State *L);

int luaopen_post_calls(lua_State *L) {
  static const luaL_Reg calls[] = {{"start", l_start}, {"posts", l_posts}, {"stop", l_stop}, {NULL, NULL}};
  luaL_newlib(L, calls);
  return 1;
}
