/* The one block that a runtime's reads go into, so that idle connections hold no memory and busy ones
 * are not copied. What a poll has received lies there until the next poll: by then it is used up, or
 * its owner keeps a copy. When the block is full the rest waits in the kernel for the next poll. */
#ifndef NEAP_IO_SLAB_H
#define NEAP_IO_SLAB_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"

struct neap;

struct slab {
  struct neap *rt;
  char *bytes; /* allocated by the first read */
  size_t used;
  int64_t poll;          /* [rt->last_poll] when it was emptied */
  struct list borrowers; /* whose bytes lie there */
};

struct borrower {
  struct list link;
  void (*keep)(struct borrower *borrower);
};

/* Makes the runtime's. */
void slab_open(lua_State *L, struct neap *rt);
struct slab *slab_of(lua_State *L);

/* Room for a read; of no length when there is none before the next poll. */
uv_buf_t slab_room(struct slab *slab);

/* [length] bytes of the room were used. */
static inline void slab_use(struct slab *slab, size_t length) {
  slab->used += length;
}

/* When what was received was handed on: begins anew if nobody borrows. */
void slab_reuse(struct slab *slab);

/* [borrower] will be told when the bytes go, unless it unlinks itself before. */
static inline void slab_lend(struct slab *slab, struct borrower *borrower) {
  list_append(&slab->borrowers, &borrower->link);
}

#endif
