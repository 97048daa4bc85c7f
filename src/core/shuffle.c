#include "core/shuffle.h"

#include "core/runtime.h"

void shuffle_set_seed(struct neap *rt, uint64_t seed) {
  rt->seed = seed * UINT64_C(0x9E3779B97F4A7C15); /* small seeds must not look alike */
}

/* xorshift64*: Marsaglia, "Xorshift RNGs" (2003), with Vigna's multiplier. */
static uint64_t next_random(struct neap *rt) {
  rt->seed ^= rt->seed >> 12;
  rt->seed ^= rt->seed << 25;
  rt->seed ^= rt->seed >> 27;
  return (rt->seed * UINT64_C(2685821657736338717)) >> 32;
}

static size_t count_ready(struct neap *rt, bool tasks_only) {
  size_t count = 0;
  for (struct runnable *r = rt->ready_head; r; r = r->next)
    count += !tasks_only || r->kind == RUN_TASK;
  return count;
}

static void link_all(struct neap *rt, struct runnable **all, size_t count) {
  for (size_t i = 0; i + 1 < count; i++) all[i]->next = all[i + 1];
  all[count - 1]->next = NULL;
  rt->ready_head = all[0];
  rt->ready_tail = all[count - 1];
}

void shuffle_ready(struct neap *rt) {
  size_t count = count_ready(rt, false), tasks = count_ready(rt, true), i = 0, drawn = 0;
  if (tasks < 2) return;
  struct runnable **all = memory_alloc(rt->memory, (count + tasks) * sizeof *all), **drawn_tasks = all + count;
  if (!all) return;
  for (struct runnable *r = rt->ready_head; r; r = r->next) {
    all[i++] = r;
    if (r->kind != RUN_TASK) continue;
    size_t place = (size_t)(next_random(rt) % (drawn + 1));
    drawn_tasks[drawn++] = drawn_tasks[place];
    drawn_tasks[place] = r;
  }
  for (i = 0; i < count; i++)
    if (all[i]->kind == RUN_TASK) all[i] = drawn_tasks[--drawn];
  link_all(rt, all, count);
  memory_free(all);
}
