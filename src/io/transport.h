/* The libuv half of a stream: bytes in, bytes out, and an orderly close. It has no Lua. Its memory is
 * held by its owner and by the loop, and freed when both have let go. */
#ifndef NEAP_IO_TRANSPORT_H
#define NEAP_IO_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "core/runtime.h"
#include "io/address.h"
#include "io/slab.h"

/* What the owner is told, from within libuv's callbacks. */
struct transport_events {
  void (*received)(void *owner, const char *bytes, size_t length); /* they lie in the slab */
  void (*ended)(void *owner,
                int status); /* nothing more comes: 0 at the end of file, or an error */
  void (*sent)(void *owner); /* the queue is shorter, or [error] is set */
  void (*shut)(void *owner, int status);
  void (*closed)(void *owner);
};

struct transport {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
  } uv; /* must be first */
  union {
    uv_connect_t connect;
    uv_shutdown_t shutdown;
  } req;
  struct neap *rt; /* until it is closed */
  struct resource resource;
  struct slab *slab;
  const struct transport_events *events;
  void *owner; /* NULL: has let go */
  void (*connected)(void *owner, int status);
  uv_timer_t *limit; /* of the time that closing may take, or NULL */
  union address peer;
  int error; /* what broke the connection: 0 or UV_E* */
  uint8_t holders;
  bool reading;
  bool closing; /* asked to; what is queued may still go out */
  bool closed;
};

/* A TCP transport that is not connected. It keeps the loop alive only by what it is busy with.
 * Returns NULL without memory. */
struct transport *transport_new(struct neap *rt, struct slab *slab, bool nodelay);

/* Makes it what carries [owner]'s bytes. */
void transport_own(struct transport *t, const struct transport_events *events, void *owner);

/* The owner lets go: the transport is closed as by transport_close. */
void transport_release(struct transport *t);

/* Takes over a connected socket; closes it if that fails. */
int transport_open(struct transport *t, int fd);

/* Begins to connect, from [local] unless it is NULL; [owner] is told by [connected]. */
int transport_connect(struct transport *t, const union address *address, const union address *local,
                      void (*connected)(void *owner, int status), void *owner);

/* Lets bytes come; stops them. Both may be called twice. */
int transport_start(struct transport *t);
void transport_stop(struct transport *t);

/* While someone waits for bytes the loop must stay alive. */
void transport_hold(struct transport *t, bool hold);

/* Writes at once what the socket takes and queues a copy of the rest. Returns 0 or the error that
 * broke the connection, now or earlier. */
int transport_write(struct transport *t, const uv_buf_t *bufs, unsigned count);

size_t transport_queued(const struct transport *t);

/* Ends the sending side behind what is queued; [shut] follows. */
int transport_shutdown(struct transport *t);

/* Sends what is queued, for a limited time, then closes. [closed] follows. */
void transport_close(struct transport *t);

/* Closes now. What was not sent is dropped, and the peer sees a reset. */
void transport_abort(struct transport *t);

int transport_local_address(const struct transport *t, union address *address);

#endif
