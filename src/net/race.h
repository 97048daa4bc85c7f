/* Connecting to the first of several addresses that answers, as RFC 8305 says: the families in turn; each attempt gets
 * a head start on the next; the first that succeeds ends the others. */
#ifndef NEAP_NET_RACE_H
#define NEAP_NET_RACE_H

#include "core/runtime.h"
#include "io/address.h"
#include "io/transport_uv.h"

struct race_options {
  union address local; /* to connect from, if [has_local] */
  bool has_local;
  bool nodelay;
  int keepalive;         /* seconds; 0: no */
  int64_t head_start_ns; /* INT64_MAX: one address after another */
};

struct race {
  struct neap *rt;
  struct slab *slab;
  struct race_options options;
  void (*done)(void *owner, int status);
  void *owner;
  struct timer timer; /* until the next attempt */
  struct transport *winner;
  int count;
  int next;    /* the attempt to begin next */
  int running; /* attempts that have begun and not failed */
  struct attempt {
    struct race *race;
    union address address;
    struct transport *transport; /* while it runs */
    int status;                  /* what it met with */
  } attempts[];
};

/* NULL without memory. [addresses] are copied. */
struct race *race_new(struct neap *rt, struct slab *slab, const struct addresses *addresses,
                      const struct race_options *options);

/* [owner] is told, maybe at once: 0, and [winner] is the connection; or what the first attempt met with. */
void race_start(struct race *race, void (*done)(void *owner, int status), void *owner);

/* Takes the winner out of it. */
struct transport *race_take(struct race *race);

/* Closes whatever is left. NULL is allowed. */
void race_free(struct race *race);

#endif
