#include "core/library.h"

#include "core/await.h"
#include "core/blocked.h"
#include "core/context.h"
#include "core/coroutine.h"
#include "core/error.h"
#include "core/future.h"
#include "core/graph.h"
#include "core/handle.h"
#include "core/hook.h"
#include "core/loop.h"
#include "core/queue.h"
#include "core/report.h"
#include "core/require.h"
#include "core/scope.h"
#include "core/semaphore.h"
#include "core/task.h"
#include "core/wait_queue.h"

static const char library_key;

void library_push(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &library_key); }

void library_open(lua_State *L, struct neap *rt) {
  lua_newtable(L);
  error_open(L, rt);
  report_open(L, rt);
  future_open(L, rt);
  handle_open(L, rt);
  hook_open(L, rt);
  task_open(L, rt);
  scope_open(L, rt);
  coroutine_open(L, rt);
  require_open(L, rt);
  await_open(L, rt);
  blocked_open(L, rt);
  wait_queue_open(L, rt);
  semaphore_open(L, rt);
  queue_open(L, rt);
  graph_open(L, rt);
  context_open(L, rt);
  loop_open(L, rt);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &library_key);
}
