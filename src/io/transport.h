/* What carries the bytes of a stream: bytes in, bytes out, and an orderly close. It has no Lua. There are several
 * kinds: over libuv's streams (transport_uv.h), files (transport_file.h), and TLS over another transport. Its memory is
 * held by its owner and by whatever it is busy with, and freed when both have let go. */
#ifndef NEAP_IO_TRANSPORT_H
#define NEAP_IO_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "core/runtime.h"
#include "io/address.h"
#include "io/slab.h"

struct transport;

/* What the owner is told, from within libuv's callbacks. */
struct transport_events {
  void (*received)(void *owner, const char *bytes, size_t length); /* they lie in the slab */
  void (*ended)(void *owner, int status); /* nothing more comes: 0 at the end of file, or an error */
  void (*sent)(void *owner);              /* the queue is shorter, or [error] is set */
  void (*shut)(void *owner, int status);
  void (*closed)(void *owner);
};

/* What a kind of transport does. The functions of transport.h call these; what they promise stands there. */
struct transport_kind {
  int (*start)(struct transport *t);
  void (*stop)(struct transport *t);
  void (*hold)(struct transport *t, bool hold);
  int (*write)(struct transport *t, const uv_buf_t *bufs, unsigned count);
  size_t (*queued)(const struct transport *t);
  int (*shutdown)(struct transport *t);
  void (*close)(struct transport *t); /* once; [closing] is set */
  void (*abort)(struct transport *t); /* also while it closes */
  int (*local_address)(const struct transport *t, union address *address); /* NULL: it has none */
  int (*descriptor)(const struct transport *t); /* or a code; NULL: it has none that bytes could bypass it by */

  /* [unread] of the bytes that were received are given back: the next bytes to come, or to be overwritten, are
   * those. NULL: reading and writing have nothing to do with each other. */
  void (*give_back)(struct transport *t, size_t unread);

  /* Receives, or tells of the end, at once: from a call of Lua, before anyone waits. Returns false, with nothing
   * told, where that would have to be waited for. NULL: it always would. */
  bool (*read_now)(struct transport *t);

  /* What may still come after its end: the end of a file that grows. */
  bool resumes;

  void (*free)(struct transport *t); /* what it holds beside its own block; NULL: nothing */
};

/* The first member of each kind's struct. */
struct transport {
  const struct transport_kind *kind;
  struct neap *rt; /* until it is closed */
  struct resource resource;
  struct slab *slab;
  const struct transport_events *events;
  void *owner;             /* NULL: has let go */
  union address peer;      /* of an internet socket */
  char *label;             /* of anything else: a path, "stdin"; or NULL */
  int error;               /* what broke the connection: 0 or UV_E* */
  const char *error_code;  /* and what scripts see in place of libuv's name and message, or NULL */
  const char *error_text;
  uint8_t holders;
  bool readable;
  bool writable;
  bool reading;
  bool on_demand; /* nothing is to be received unasked: it is there as soon as it is asked for */
  bool closing; /* asked to; what is queued may still go out */
  bool closed;
};

/* Fills in what all kinds share, for an owner and for the transport's own business, which ends with
 * transport_closed. [size] bytes, cleared. Returns NULL without memory. */
void *transport_new(struct neap *rt, struct slab *slab, const struct transport_kind *kind, size_t size);

/* For the kinds: nothing will call it any more. */
void transport_closed(struct transport *t);

/* The same for one that could not be made whole: nobody has it. */
void transport_discard(struct transport *t);

/* Makes it what carries [owner]'s bytes. */
void transport_own(struct transport *t, const struct transport_events *events, void *owner);

/* The owner lets go: the transport is closed as by transport_close. */
void transport_release(struct transport *t);

/* Gives it a copy of a name. Returns 0 or UV_ENOMEM. */
int transport_set_label(struct transport *t, const char *label);

/* Whom or what it leads to, for messages: [name], or its label. */
const char *transport_name(const struct transport *t, char name[ADDRESS_MAX]);

/* Lets bytes come; stops them. Both may be called twice. */
int transport_start(struct transport *t);
void transport_stop(struct transport *t);

/* As the kind's: receives now, or returns false. */
bool transport_read_now(struct transport *t);

/* While someone waits for bytes the loop must stay alive. */
void transport_hold(struct transport *t, bool hold);

/* Writes at once what is taken at once and queues a copy of the rest. Returns 0 or the error that broke the
 * connection, now or earlier. */
int transport_write(struct transport *t, const uv_buf_t *bufs, unsigned count);

/* The bytes that were not sent yet. */
size_t transport_queued(const struct transport *t);

/* Ends the sending side behind what is queued; [shut] follows. */
int transport_shutdown(struct transport *t);

/* Sends what is queued, for a limited time, then closes. [closed] follows. */
void transport_close(struct transport *t);

/* Closes now. What was not sent is dropped, and a peer sees a reset where there are such. */
void transport_abort(struct transport *t);

int transport_local_address(const struct transport *t, union address *address);

/* The descriptor that the bytes go through, or UV_ENOTSUP where they are not those of the stream. It stays the
 * transport's. */
int transport_descriptor(const struct transport *t);

#endif
