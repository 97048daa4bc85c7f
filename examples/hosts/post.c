/* A thread of the program's tells a script what has happened. It posts to the runtime, and the post, which is
 * called on the runtime's thread, settles the future that the script awaits. */
#include <lauxlib.h>
#include <lua.h>
#include <neap.h>
#include <stdio.h>
#include <stdlib.h>

static const char script[] =
    "local neap = require 'neap'\n"
    "local ticking = neap.create_task(function() while true do neap.sleep(0.001) end end)\n"
    "print('measured', measure():await())\n"
    "ticking:cancel()\n";

/* A measurement that is under way in the device's thread. */
struct measurement {
  neap_t *neap;
  neap_future *future;
  double volts;
};

static uv_thread_t device;

/* On the runtime's thread. If the runtime was freed before, [neap] is NULL; the handle is settled all the same,
 * which releases it. */
static void on_measured(neap_t *neap, void *user) {
  struct measurement *measurement = user;
  lua_State *L = neap ? neap_state(neap) : NULL;
  if (L) lua_pushnumber(L, measurement->volts);
  neap_settle(L, measurement->future, LUA_OK, L ? 1 : 0);
  free(measurement);
}

static void measure(void *user) {
  struct measurement *measurement = user;
  uv_sleep(10);
  measurement->volts = 4.5;
  neap_post(measurement->neap, on_measured, measurement);
}

/* measure(): a future. */
static int l_measure(lua_State *L) {
  struct measurement *measurement = calloc(1, sizeof *measurement);
  if (!measurement) return luaL_error(L, "not enough memory");
  measurement->neap = neap_of(L);
  measurement->future = neap_future_new(L);
  if (!measurement->future) return free(measurement), luaL_error(L, "not enough memory");
  uv_thread_create(&device, measure, measurement);
  return 1;
}

int main(void) {
  neap_t *neap = neap_new(NULL);
  if (!neap) return 1;
  lua_State *L = neap_state(neap);
  lua_register(L, "measure", l_measure);
  if (luaL_loadstring(L, script) != LUA_OK || neap_call(neap, 0, NULL) != LUA_OK)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
  uv_thread_join(&device); /* no thread posts to a runtime that is gone */
  neap_free(neap);
  return 0;
}

// run: post
// expect: measured	4.5
