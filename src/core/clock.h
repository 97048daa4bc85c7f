/* The loop's time, real or virtual, and the deadlines in it. */
#ifndef NEAP_CORE_CLOCK_H
#define NEAP_CORE_CLOCK_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"

struct neap;

/* The loop's clock in nanoseconds. Virtual time stands still while anything is ready and jumps
 * to the next deadline; switching between the two never moves time backwards. */
struct clock {
  bool is_virtual;
  int64_t offset;  /* of the real clock: added to uv_hrtime */
  int64_t virtual_now;
};

/* A deadline in the one heap. [fire] runs from the loop, never inside a libuv callback, and may
 * not run Lua: it wakes or queues something. */
struct timer {
  struct heap_node node; /* key: nanoseconds of the loop's clock */
  void (*fire)(struct neap *rt, struct timer *timer);
};

/* The loop's time in nanoseconds. */
int64_t runtime_now(struct neap *rt);
void runtime_set_virtual(struct neap *rt, bool is_virtual);

/* The deadline [seconds] from now; never is INT64_MAX. */
int64_t runtime_deadline(struct neap *rt, double seconds);

/* A time of the loop's clock, in seconds, as nanoseconds; before its start is 0. */
int64_t runtime_time(double seconds);

/* Nanoseconds as milliseconds, rounded up: never early. */
static inline int64_t clock_ms(int64_t ns) { return ns / 1000000 + (ns % 1000000 > 0); }

/* The argument at [index], a number of seconds; raises a bad argument if it is none, or NaN. */
double runtime_check_seconds(lua_State *L, int index);

/* Returns 0, or -1 without memory. */
int timer_start(struct neap *rt, struct timer *timer, int64_t deadline);
void timer_stop(struct neap *rt, struct timer *timer);

static inline void timer_init(struct timer *timer, void (*fire)(struct neap *, struct timer *)) {
  timer->node.index = HEAP_ABSENT;
  timer->fire = fire;
}

/* The first deadline, or INT64_MAX; and the milliseconds until then: -1 if that is never, 0 in virtual time. */
int64_t timer_first(struct neap *rt);
int64_t timer_wait(struct neap *rt);

/* Fires those that have passed. */
void timer_fire_due(struct neap *rt);

/* Moves virtual time, which alone does, to the first deadline. */
void clock_jump(struct neap *rt);

#endif
