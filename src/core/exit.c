#include "core/exit.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/runtime.h"
#include "core/task.h"

static int check_code(lua_State *L) {
  if (lua_isboolean(L, 1)) return lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  return (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
}

static int never(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return luaL_error(L, "os.exit: the program has ended");
}

/* Lua's own, where the process is the program's: nothing is unwound then, as in Lua. */
static int end_process(lua_State *L, struct neap *rt) {
  if (!rt->ends_process)
    return error_misuse(L, "os.exit: cannot end the run from where Lua cannot yield");
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 0);
  return 0;
}

/* os.exit(code, close): as in Lua; but the task stops here, and whoever runs the loop ends the rest. In the
 * neap command that is so in programs that have loaded neap. */
static int l_exit(lua_State *L) {
  struct neap *rt = runtime_of(L);
  int code = check_code(L);
  bool plain = rt->ends_process && !rt->used && !lua_toboolean(L, 2);
  if (plain || rt->active != L || rt->barrier || !lua_isyieldable(L)) return end_process(L, rt);
  rt->exiting = true;
  rt->exit_code = code;
  rt->stop = true;
  rt->current->suspended = true;
  rt->suspending = true;
  return lua_yieldk(L, 0, 0, never);
}

void exit_install(lua_State *L) {
  if (lua_getglobal(L, "os") == LUA_TTABLE) {
    runtime_push(L);
    lua_getfield(L, -2, "exit");
    lua_pushcclosure(L, l_exit, 2);
    lua_setfield(L, -2, "exit");
  }
  lua_pop(L, 1);
}
