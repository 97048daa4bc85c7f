/* The one wait queue, under locks, semaphores, events, conditions, barriers and queues: tasks that wait for
 * something that others will give them, first come, first served.
 *
 * What is given goes from hand to hand: the first waiter owns it from then on, so that no newcomer
 * overtakes it, and gets it even if it is cancelled before it runs. One that can never take it, since it
 * was killed, gives it back: see wait_op_leave. So no wake-up is lost. */
#ifndef NEAP_CORE_WAIT_QUEUE_H
#define NEAP_CORE_WAIT_QUEUE_H

#include <lua.h>

#include "base/list.h"
#include "core/op.h"

struct wait_queue {
  struct list waiting; /* of struct wait_op */
  lua_Integer length;
};

/* Operations that wait in a queue begin with it. */
struct wait_op {
  struct op op;
  struct list link;
  struct wait_queue *queue; /* in a userdata that the awaiting function has at index 1 */
  bool taken;               /* the caller has got what was given */
};

void wait_queue_open(lua_State *L, struct neap *rt);

void wait_queue_init(struct wait_queue *queue);

/* The one whose turn is next, or NULL. */
struct wait_op *wait_queue_first(struct wait_queue *queue);

/* Begins an op that does not stand in the queue yet: see op_begin. */
void *wait_op_begin(lua_State *L, struct wait_queue *queue, const struct op_kind *kind);

/* Suspends the running task at the end of the queue. To be returned. */
int wait_op_park(lua_State *L, struct wait_op *wait);

/* Gives it what it waits for: takes it out of the queue and completes it. */
void wait_op_give(struct neap *rt, struct wait_op *wait, int status);

/* For a kind's drop: takes it out of the queue. Returns whether it was given something that it did not
 * take, with a status of 0 or more. */
bool wait_op_leave(struct op *op);

/* Gives to all who wait. */
void wait_queue_give_all(struct neap *rt, struct wait_queue *queue, int status);

#endif
