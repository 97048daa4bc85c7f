#include "core/clock.h"

#include <lauxlib.h>
#include <math.h>

#include "core/runtime.h"

int64_t runtime_now(struct neap *rt) {
  if (rt->clock.is_virtual) return rt->clock.virtual_now;
  return (int64_t)uv_hrtime() + rt->clock.offset;
}

void runtime_set_virtual(struct neap *rt, bool is_virtual) {
  bool is_unseen = rt->last_task_id == 0; /* then virtual time begins with 0: each run is the same */
  int64_t now = is_virtual && is_unseen ? 0 : runtime_now(rt);
  rt->clock.is_virtual = is_virtual;
  rt->clock.virtual_now = now;
  rt->clock.offset = now - (int64_t)uv_hrtime();
  rt->turns = 0;
}

int64_t runtime_deadline(struct neap *rt, double seconds) {
  int64_t now = runtime_now(rt);
  double wait = ceil(seconds * 1e9);
  if (wait <= 0) return now;
  if (wait >= (double)(INT64_MAX - now)) return INT64_MAX;
  return now + (int64_t)wait;
}

int64_t runtime_time(double seconds) {
  double ns = ceil(seconds * 1e9);
  if (ns <= 0) return 0;
  return ns >= (double)INT64_MAX ? INT64_MAX : (int64_t)ns;
}

double runtime_check_seconds(lua_State *L, int index) {
  int is_number;
  double seconds = lua_tonumberx(L, index, &is_number);
  if (!is_number) luaL_typeerror(L, index, "number");
  luaL_argcheck(L, !isnan(seconds), index, "the time is not a number (NaN)");
  return seconds;
}

int timer_start(struct neap *rt, struct timer *timer, int64_t deadline) {
  timer->node.key = deadline;
  return heap_insert(&rt->timers, &timer->node);
}

void timer_stop(struct neap *rt, struct timer *timer) { heap_remove(&rt->timers, &timer->node); }

int64_t timer_first(struct neap *rt) {
  struct heap_node *node = heap_first(&rt->timers);
  return node ? node->key : INT64_MAX;
}

int64_t timer_wait(struct neap *rt) {
  int64_t first = timer_first(rt);
  if (first == INT64_MAX) return -1;
  int64_t wait = first - runtime_now(rt);
  return rt->clock.is_virtual || wait <= 0 ? 0 : clock_ms(wait);
}

void timer_fire_due(struct neap *rt) {
  struct heap_node *node = heap_first(&rt->timers);
  if (!node) return;
  int64_t now = runtime_now(rt);
  while (node && node->key <= now) {
    struct timer *timer = container_of(node, struct timer, node);
    heap_remove(&rt->timers, node);
    timer->fire(rt, timer);
    node = heap_first(&rt->timers);
  }
}

void clock_jump(struct neap *rt) {
  int64_t first = timer_first(rt);
  if (!rt->clock.is_virtual || first == INT64_MAX) return;
  if (first > rt->clock.virtual_now) rt->clock.virtual_now = first;
  rt->turns = 0;
  timer_fire_due(rt);
}
