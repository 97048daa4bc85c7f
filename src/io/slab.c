#include "io/slab.h"

#include "core/ceiling.h"
#include "core/run.h"
#include "core/runtime.h"

/* What is received is soon copied into a string and written from there: a block that fits in a processor's cache makes
 * an echo of 16 KiB a seventh quicker than one of 512 KiB. */
enum { SLAB_BYTES = 128 * 1024, ROOM_LEAST = 16 * 1024, ROOM_MOST = 64 * 1024 };

void slab_init(struct slab *slab, struct neap *rt) {
  *slab = (struct slab){.rt = rt, .poll = -1};
  list_init(&slab->borrowers);
}

void slab_free(struct slab *slab) {
  memory_free(slab->bytes);
  slab->bytes = NULL;
}

static void empty(struct slab *slab) {
  struct list *node;
  while ((node = list_first(&slab->borrowers))) {
    list_remove(node);
    struct borrower *borrower = container_of(node, struct borrower, link);
    borrower->keep(borrower);
  }
  slab->used = 0;
  slab->poll = slab->rt->last_poll;
}

uv_buf_t slab_room(struct slab *slab) {
  if (!slab->bytes) slab->bytes = memory_alloc(slab->rt->memory, SLAB_BYTES);
  if (!slab->bytes && ceiling_reclaim(slab->rt)) slab->bytes = memory_alloc(slab->rt->memory, SLAB_BYTES);
  if (!slab->bytes) return uv_buf_init(NULL, 0);
  if (slab->poll != slab->rt->last_poll) empty(slab);
  size_t room = SLAB_BYTES - slab->used;
  if (room < ROOM_LEAST) room = 0;
  return uv_buf_init(slab->bytes + slab->used, room > ROOM_MOST ? ROOM_MOST : (unsigned)room);
}

void slab_relieve(struct slab *slab) {
  if (SLAB_BYTES - slab->used < ROOM_LEAST) runtime_run_woken(slab->rt);
  if (list_empty(&slab->borrowers)) slab->used = 0;
}
