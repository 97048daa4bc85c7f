/* A bounded cache of small blocks by size class. Blocks beyond the bound go back to malloc, so
 * a burst leaves nothing behind. Under sanitizers every block is malloc's own. */
#ifndef NEAP_BASE_POOL_H
#define NEAP_BASE_POOL_H

#include <stddef.h>

#include "base/memory.h"

enum { POOL_GRAIN = 16, POOL_CLASSES = 32, POOL_KEPT = 512 };

struct pool {
  struct memory *memory; /* to which its blocks are charged, also those that it keeps */
  struct pool_block *free[POOL_CLASSES];
  unsigned kept[POOL_CLASSES];
};

/* Returns [size] bytes, not cleared, or NULL when there is no memory. */
void *pool_alloc(struct pool *pool, size_t size);

/* [size] is the one the block was asked for with. */
void pool_release(struct pool *pool, void *block, size_t size);

/* Gives back what it keeps. */
void pool_free(struct pool *pool);

#endif
