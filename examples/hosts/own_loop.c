/* A program that has a loop already. Its tasks run whenever that loop runs, between its own timers and
 * sockets. The runtime can be freed at any time: nothing of the program's is touched. */
#include <lauxlib.h>
#include <lua.h>
#include <neap.h>
#include <stdio.h>
#include <stdlib.h>

static const char script[] =
    "local neap = require 'neap'\n"
    "neap.sleep(0.01)\n"
    "print 'the script has slept'\n"
    "start_heart()\n"
    "local bed <close> = setmetatable({}, { __close = function() print 'the script tidies up' end })\n"
    "neap.sleep(3600)\n";

static uv_loop_t loop;
static uv_timer_t heart;
static int beats;

/* The program's own timer. After two beats it leaves uv_run, so that main can free the runtime. */
static void on_beat(uv_timer_t *timer) {
  printf("beat %d\n", ++beats);
  if (beats == 2) uv_stop(timer->loop);
  if (beats == 4) uv_close((uv_handle_t *)timer, NULL);
}

static int l_start_heart(lua_State *L) {
  (void)L;
  uv_timer_start(&heart, on_beat, 5, 5);
  return 0;
}

static void start_script(neap_t *neap) {
  lua_State *L = neap_state(neap);
  lua_register(L, "start_heart", l_start_heart);
  if (luaL_loadstring(L, script) != LUA_OK || !neap_spawn(L, 0, NULL, NULL)) abort();
}

int main(void) {
  uv_loop_init(&loop);
  uv_timer_init(&loop, &heart);
  neap_t *neap = neap_new(&(neap_config){.loop = &loop});
  if (!neap) return 1;
  start_script(neap);

  uv_run(&loop, UV_RUN_DEFAULT); /* the tasks, the timer: all that is on the loop */
  neap_free(neap);
  puts("the runtime is gone");
  uv_run(&loop, UV_RUN_DEFAULT); /* the timer alone, until it closes itself */
  return uv_loop_close(&loop) == 0 ? 0 : 1;
}

// run: own_loop
// expect: the script has slept
// expect: beat 1
// expect: beat 2
// expect: the script tidies up
// expect: the runtime is gone
// expect: beat 3
// expect: beat 4
