#include "base/pool.h"

#include <stdlib.h>

struct pool_block {
  struct pool_block *next;
};

#ifdef NEAP_SANITIZE
static size_t class_of(size_t size) { return (void)size, POOL_CLASSES; }
#else
static size_t class_of(size_t size) { return (size - 1) / POOL_GRAIN; }
#endif

void *pool_alloc(struct pool *pool, size_t size) {
  size_t class = class_of(size);
  if (class >= POOL_CLASSES) return malloc(size);
  struct pool_block *block = pool->free[class];
  if (!block) return malloc((class + 1) * POOL_GRAIN);
  pool->free[class] = block->next;
  pool->kept[class]--;
  return block;
}

void pool_release(struct pool *pool, void *memory, size_t size) {
  size_t class = class_of(size);
  if (class >= POOL_CLASSES || pool->kept[class] >= POOL_KEPT) {
    free(memory);
    return;
  }
  struct pool_block *block = memory;
  block->next = pool->free[class];
  pool->free[class] = block;
  pool->kept[class]++;
}

void pool_free(struct pool *pool) {
  for (size_t class = 0; class < POOL_CLASSES; class++) {
    while (pool->free[class]) {
      struct pool_block *block = pool->free[class];
      pool->free[class] = block->next;
      free(block);
    }
    pool->kept[class] = 0;
  }
}
