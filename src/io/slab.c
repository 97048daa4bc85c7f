#include "io/slab.h"

#include "core/runtime.h"

enum { SLAB_BYTES = 512 * 1024, ROOM_LEAST = 16 * 1024, ROOM_MOST = 64 * 1024 };

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
  if (!slab->bytes) return uv_buf_init(NULL, 0);
  if (slab->poll != slab->rt->last_poll) empty(slab);
  size_t room = SLAB_BYTES - slab->used;
  if (room < ROOM_LEAST) room = 0;
  return uv_buf_init(slab->bytes + slab->used, room > ROOM_MOST ? ROOM_MOST : (unsigned)room);
}
