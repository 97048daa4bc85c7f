#include "io/io.h"

#include "io/census.h"
#include "io/readiness.h"
#include "io/slab.h"
#include "io/stream.h"
#include "io/watcher.h"

void io_open(lua_State *L, struct neap *rt) {
  slab_open(L, rt);
  stream_open(L, rt);
  census_open(L, rt);
  readiness_open(L, rt);
  watcher_open(L, rt);
}
