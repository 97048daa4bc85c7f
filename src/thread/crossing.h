/* Waiting for another thread. A task's op points to a crossing, which stands in the list of what it waits for
 * (a channel, the end of a thread, ...) under that one's lock. Whoever takes it out of the list, in any
 * thread, gives it what was waited for, exactly once. The crossing is no part of the runtime's memory, so that
 * it can be given to when that is being freed: then what it was given is handed back. */
#ifndef NEAP_THREAD_CROSSING_H
#define NEAP_THREAD_CROSSING_H

#include <lua.h>
#include <stdbool.h>
#include <uv.h>

#include "base/list.h"
#include "core/op.h"
#include "core/port.h"

struct crossing;
struct message;

struct crossing_kind {
  /* It was given something that nobody took. In any thread, without the lock. NULL: nothing to do. */
  void (*untaken)(struct crossing *crossing);
  /* Gives up the part in the owner. */
  void (*release)(void *owner);
};

struct crossing {
  struct post post;      /* must be first */
  struct list link;      /* under the owner's lock */
  const struct crossing_kind *kind;
  void *owner;
  uv_mutex_t *lock;      /* the owner's */
  struct neap_port *port;
  struct neap *rt;       /* for its own thread, and to compare */
  struct op *op;         /* for its own thread */
  struct message *message; /* what is sent, or what was received */
  int status;            /* what it was given */
  bool expecting;        /* the loop is told that something may come */
};

struct crossing_op {
  struct op op;
  struct crossing *crossing;
};

/* As op_begin. The op kind must have crossing_abort and crossing_drop, and the size of a crossing_op. [owner] is
 * released in the end: its part is taken when this returns. Raises for want of memory. */
struct crossing *crossing_begin(lua_State *L, const struct op_kind *op_kind,
                                const struct crossing_kind *kind, void *owner, uv_mutex_t *lock);

/* Keeps the loop alive while it waits, or not any more. In its own thread. */
void crossing_expect(struct crossing *crossing);
void crossing_unexpect(struct crossing *crossing);

/* Gives to one that was taken out of the list; without the lock, from any thread. [here] is the runtime of this
 * thread, or NULL. */
void crossing_give(struct neap *here, struct crossing *crossing, int status);

/* Suspends the task. What was given before, in the very call, is there at once. To be returned. */
int crossing_await(lua_State *L, struct crossing *crossing);

/* Gives to one's own that is not awaited yet. */
void crossing_give_early(struct crossing *crossing, int status);

static inline struct crossing *crossing_of(struct op *op) { return ((struct crossing_op *)op)->crossing; }

enum op_abort crossing_abort(struct neap *rt, struct op *op);
void crossing_drop(struct neap *rt, struct op *op);

#endif
