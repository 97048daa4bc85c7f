/* Waiting for descriptors until they can be read from or written to: any number of tasks for one, and one
 * task for any number. */
#ifndef NEAP_IO_READINESS_H
#define NEAP_IO_READINESS_H

#include <lua.h>
#include <stdbool.h>
#include <uv.h>

#include "core/runtime.h"

enum { READY_READ = UV_READABLE, READY_WRITE = UV_WRITABLE };

/* What libuv knows of a descriptor, and who waits for it. It is freed by the close callback. */
struct sentry {
  uv_poll_t poll; /* must be first */
  struct neap *rt;
  struct resource resource;
  struct list waiters;    /* struct interest */
  struct sentry **holder; /* becomes NULL when the runtime closes it */
  int fd;
  int events; /* that are polled for */
  bool owns;  /* the descriptor: it is closed with it */
};

/* Makes one for a descriptor that does not block. Returns 0 or a code of libuv: then the descriptor is the
 * caller's still. */
int sentry_new(struct sentry **holder, struct neap *rt, int fd, bool owns);

/* Whoever waits is woken. */
void sentry_close(struct sentry *sentry);

/* Waiting for one, as a call of the name with this number. To be returned: the values are true, or false when
 * the time, in seconds, is over. A negative time is none. */
enum ready_call { READY_RECEIVE, READY_SEND, READY_ACCEPT, READY_CONNECT, READY_SELECT };
int ready_await(lua_State *L, enum ready_call call, struct sentry *sentry, int events, double seconds);

/* As scripts see it: "receive". */
const char *ready_name(enum ready_call call);

/* select_descriptors(list, seconds): the list has a descriptor and "r", "w" in turn. A table, in which
 * those that are ready are true by the place of their descriptor in the list; or nil when the time is
 * over. */
int l_select_descriptors(lua_State *L);

#endif
