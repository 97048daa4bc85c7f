/* The part of a runtime that other threads may touch, and that a host holds as its neap_t. It is counted,
 * and outlives the runtime. */
#ifndef NEAP_CORE_PORT_H
#define NEAP_CORE_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/runtime.h"

struct neap_report;

/* Something that is handed to a runtime from any thread. [run] is called exactly once, from the ready queue
 * in the loop's thread, in order of arrival among callbacks: it may run Lua, protected. If the runtime is
 * freed before that, it is called with NULL, in whatever thread, to release what it holds. */
struct post {
  struct runnable runnable; /* must be first */
  void (*run)(struct neap *rt, struct post *post);
};

/* What the host is told: see neap.h. */
struct port_host {
  void (*on_report)(void *user, const struct neap_report *report);
  void *user;
};

/* A list of blocks of malloc's, which begin with it. */
struct host_kind {
  struct host_kind *next;
};

/* Whether a host has the runtime: one that belongs to a Lua state alone has none. */
enum port_hold { HOLD_NONE, HOLD_HOST, HOLD_FREEING, HOLD_FREED };

enum { PORT_RETIRED = 16 };

struct neap_port {
  atomic_uint holders;
  atomic_uintptr_t runner;  /* the thread inside a run, as an integer; 0: none */
  struct neap *rt;          /* NULL when it is freed; for the loop's thread */
  struct port_host host;
  atomic_int hold;          /* enum port_hold */
  bool owns_state;
  struct retired {
    void *block;
    size_t size;
  } retired[PORT_RETIRED];  /* blocks that a host has had, so that another use of them is seen */
  unsigned retired_count;
  struct host_kind *kinds;  /* of operations that the host has begun: the last one first */
  unsigned expecting;       /* that wait for posts; the loop's thread alone */
  unsigned telling;         /* the same: callbacks of the host's that are going on, and the runtime's end */

  /* A byte in it wakes the loop. Not an uv_async_t: in libuv before 1.45 a loop that is woken while the other
   * thread is still in uv_async_send spins until it is not, which costs more than all else. */
  uv_file pipe[2];

  uv_mutex_t lock;          /* of what follows */
  struct post *first, *last;
  unsigned wakers;          /* that are about to write to the pipe */
  uv_poll_t *poll;          /* of the pipe; NULL when the runtime is freed */
};

/* Makes the port of a runtime whose loop is open. Returns 0 or UV_E*. */
int port_open(struct neap *rt);

/* Refuses posts from here on, and drops those that came. */
void port_close(struct neap *rt);

/* From any thread. */
void port_ref(struct neap_port *port);
void port_unref(struct neap_port *port);

/* Queues the post and wakes the loop, from any thread. Returns false, with nothing done, when the runtime is
 * freed. */
bool port_post(struct neap_port *port, struct post *post);

/* Makes ready what was posted. Returns false if nothing was. */
bool port_deliver(struct neap *rt);

/* Something may yet be posted: meanwhile the loop does not end, and nothing is a deadlock. */
void port_expect(struct neap *rt);
void port_unexpect(struct neap *rt);

/* Gives a block of the runtime's pool, which a host has held, back to it after a while. */
void port_retire(struct neap *rt, void *block, size_t size);

/* The thread inside a run. */
void port_enter(struct neap *rt);
void port_leave(struct neap *rt);

/* Whether it was freed not long ago: what it points to is not looked at. */
bool port_was_freed(const struct neap_port *port);

/* Whether another thread runs it just now, or this one does. */
bool port_is_foreign(struct neap_port *port);
bool port_runs_here(struct neap_port *port);

#endif
