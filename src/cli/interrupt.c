/* The first Ctrl-C raises an error in Lua code of the chunk that is running, or cancels what it waits for; the
 * second one raises in whatever runs, for that may be another task that holds the loop. What does not end then
 * leaves the third to the command, which ends the program. */
#include "cli/interrupt.h"

#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>

#include "core/runtime.h"
#include "core/task.h"

enum { PATIENCE = 2 };

static struct {
  struct neap *rt;               /* NULL: no chunk is running */
  struct task *chunk;
  volatile sig_atomic_t asked;   /* so often by the user */
  volatile sig_atomic_t pending; /* not yet acted upon */
  int cancelled;                 /* requests made to [chunk] */
  lua_Hook hook;                 /* that ours stands in for */
  int mask, count;
} the;

static void on_instruction(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, the.hook, the.mask, the.count);
  if (!the.pending) return;
  the.pending = false;
  luaL_error(L, "interrupted!");
}

/* lua_sethook is what Lua allows in a signal handler. */
static void arm(lua_State *L) {
  if (lua_gethook(L) == on_instruction) return;
  the.hook = lua_gethook(L);
  the.mask = lua_gethookmask(L);
  the.count = lua_gethookcount(L);
  lua_sethook(L, on_instruction, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

bool interrupt_take(int number) {
  if (!the.rt || number != SIGINT || the.asked >= PATIENCE) return false;
  if (!pthread_equal(pthread_self(), the.rt->thread)) {
    pthread_kill(the.rt->thread, number);
    return true;
  }
  the.asked++;
  the.pending = true;
  if (the.rt->current == the.chunk || (the.rt->current && the.asked > 1)) arm(the.rt->active);
  return true;
}

void interrupt_cancel(void) {
  if (!the.rt || !the.pending) return;
  the.pending = false;
  if (task_cancel_quietly(the.rt, the.chunk)) the.cancelled++;
}

/* begin(): the current task runs a chunk. */
static int l_begin(lua_State *L) {
  struct neap *rt = runtime_get(L);
  the.chunk = rt->current;
  the.cancelled = 0;
  the.asked = the.pending = false;
  the.rt = rt;
  return 0;
}

/* finish(): no more. How often the task was cancelled by it. */
static int l_finish(lua_State *L) {
  the.rt = NULL;
  the.pending = false;
  lua_pushinteger(L, the.cancelled);
  return 1;
}

static const luaL_Reg functions[] = {{"begin", l_begin}, {"finish", l_finish}, {NULL, NULL}};

int interrupt_open_library(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
