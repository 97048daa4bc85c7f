/* A host of a runtime with virtual time, which reads the file that it is given, under a time limit of a microsecond:
 * by steps ("step") or on a loop of its own ("loop"). Prints how many bytes it got. */
#include <lauxlib.h>
#include <lua.h>
#include <neap.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static const char script[] =
    "local neap = require 'neap'\n"
    "local path = ...\n"
    "print(neap.move_on_after(1e-6, function() return #neap.fs.read_file(path) end))\n";

static neap_status run_steps(neap_t *neap) {
  neap_status status;
  while ((status = neap_step(neap, 0.01)) == NEAP_READY || status == NEAP_WAITING) {
    struct pollfd fd = {.fd = neap_fd(neap), .events = POLLIN};
    poll(&fd, 1, neap_timeout(neap));
  }
  return status;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  uv_loop_t loop;
  int by_steps = !strcmp(argv[1], "step");
  uv_loop_init(&loop);
  neap_t *neap = neap_new(&(neap_config){.loop = by_steps ? NULL : &loop, .virtual_clock = 1});
  if (!neap) return 1;
  lua_State *L = neap_state(neap);
  if (luaL_loadstring(L, script) != LUA_OK) return 1;
  lua_pushstring(L, argv[2]);
  if (!neap_spawn(L, 1, NULL, NULL)) return 1;
  if (by_steps)
    run_steps(neap);
  else
    uv_run(&loop, UV_RUN_DEFAULT);
  neap_free(neap);
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop) ? 1 : 0;
}
