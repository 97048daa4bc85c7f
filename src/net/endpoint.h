/* The libuv half of a datagram socket: datagrams in, datagrams out. It has no Lua. */
#ifndef NEAP_NET_ENDPOINT_H
#define NEAP_NET_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/list.h"
#include "core/runtime.h"
#include "io/address.h"
#include "io/slab.h"

/* One that was received, and waits to be taken. Freed by memory_free. */
struct datagram {
  struct list link;
  union address from;
  size_t length;
  char bytes[];
};

/* Its memory is freed by the close callback. */
struct endpoint {
  uv_udp_t udp; /* must be first */
  struct neap *rt;
  struct resource resource;
  struct slab *slab;
  struct endpoint **holder;     /* where the owner keeps it: NULL once it is closed */
  void (*arrived)(void *owner); /* told from within libuv's callbacks: there is a datagram, or an error */
  void *owner;
  struct list received;         /* struct datagram, in order of arrival */
  int waiting;                  /* so many of them */
  int limit;                    /* while there are so many the others wait in the kernel */
  int error;                    /* that receiving met with, and nobody was told of: 0 or UV_E* */
  int family;
  bool receiving;
  bool connected;
};

struct endpoint_options {
  int limit;
  bool reuse_addr;
  bool reuse_port;
  bool broadcast;
  bool ipv6_only;
};

/* Opens one at [local], and connects it to [remote] unless that is NULL. Returns 0 or a code of libuv. */
int endpoint_open(struct endpoint **endpoint, struct neap *rt, struct slab *slab,
                  const struct endpoint_options *options, const union address *local,
                  const union address *remote);

/* From now on it tells [owner], who keeps it at [holder]. */
void endpoint_own(struct endpoint *e, struct endpoint **holder, void (*arrived)(void *owner), void *owner);

/* What was received and not taken is forgotten; what waits to be sent is told UV_ECANCELED. Not to be called from a
 * callback of libuv: 1.44 goes on with a handle after it was called back. */
void endpoint_close(struct endpoint *e);

/* Sends to nobody else, and receives from nobody else, from now on. */
int endpoint_connect(struct endpoint *e, const union address *remote);

/* Lets datagrams come until there are enough; then again when half of those are taken. */
int endpoint_receive(struct endpoint *e);

/* The first one that was received, or NULL. */
struct datagram *endpoint_take(struct endpoint *e);

/* While someone waits for one the loop must stay alive. */
void endpoint_hold(struct endpoint *e, bool hold);

/* Sends if the kernel takes it now. [to] is NULL where it is connected. Returns 0, UV_EAGAIN, or what failed. */
int endpoint_try_send(struct endpoint *e, const char *bytes, size_t length, const union address *to);

/* What waits until the kernel takes it. */
struct outgoing;

/* Sends a copy. [owner] is told by [sent]. */
int endpoint_send(struct endpoint *e, struct outgoing **outgoing, const char *bytes, size_t length,
                  const union address *to, void (*sent)(void *owner, int status), void *owner);

/* Nobody is told any more; it goes out all the same. NULL is allowed. */
void outgoing_forget(struct outgoing *outgoing);

int endpoint_local_address(const struct endpoint *e, union address *address);
int endpoint_peer_address(const struct endpoint *e, union address *address);

#endif
