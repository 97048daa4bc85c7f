/* require "host_calls": functions in C that a task awaits, completed at once, and in a worker thread. */
#include <lauxlib.h>
#include <lua.h>
#include <neap.h>

#include "../lib/worker.h"

static const neap_op_kind kind = {.name = "host_call", .size = sizeof(neap_op)};

static struct baton orders = BATON_INIT;
static char no_more;

static int l_at_once(lua_State *L) {
  neap_op *op = neap_begin(L, &kind);
  neap_complete(op, 0);
  return neap_await(L, op, 0);
}

static void *complete_orders(void *unused) {
  (void)unused;
  for (void *order; (order = baton_take(&orders)) != &no_more;) neap_complete(order, 0);
  return NULL;
}

static pthread_t worker;

static int l_start_worker(lua_State *L) {
  (void)L;
  worker = worker_start(complete_orders, NULL);
  return 0;
}

static int l_in_worker(lua_State *L) {
  neap_op *op = neap_begin(L, &kind);
  baton_give(&orders, op);
  return neap_await(L, op, 0);
}

static int l_stop_worker(lua_State *L) {
  (void)L;
  baton_give(&orders, &no_more);
  pthread_join(worker, NULL);
  return 0;
}

int luaopen_host_calls(lua_State *L);

int luaopen_host_calls(lua_State *L) {
  static const luaL_Reg calls[] = {{"at_once", l_at_once},
                                   {"in_worker", l_in_worker},
                                   {"start_worker", l_start_worker},
                                   {"stop_worker", l_stop_worker},
                                   {NULL, NULL}};
  luaL_newlib(L, calls);
  return 1;
}
