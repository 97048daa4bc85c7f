#include "core/collector.h"

#include "core/runtime.h"

enum {
  HEAP_KB = 4096, /* up to here collecting can wait */
  PAUSE_MIN = 200, /* in percent of the live heap: Lua's own */
  PAUSE_MAX = 1000,
};

static int pause_for(int heap_kb) {
  int pause = HEAP_KB / (heap_kb / 100 + 1);
  return pause < PAUSE_MIN ? PAUSE_MIN : pause > PAUSE_MAX ? PAUSE_MAX : pause / 20 * 20;
}

void collector_pace(struct neap *rt) {
  if (rt->gc_pause == 0) return;
  int pause = pause_for(lua_gc(rt->L, LUA_GCCOUNT));
  if (pause == rt->gc_pause) return;
  int before = lua_gc(rt->L, LUA_GCSETPAUSE, pause);
  if (before != rt->gc_pause) {
    lua_gc(rt->L, LUA_GCSETPAUSE, before);
    pause = 0;
  }
  rt->gc_pause = pause;
}
