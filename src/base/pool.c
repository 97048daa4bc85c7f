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

static size_t size_of(size_t class, size_t size) {
  return class < POOL_CLASSES ? (class + 1) * POOL_GRAIN : size;
}

static void *new_block(struct pool *pool, size_t size) {
  if (!memory_charge(pool->memory, size)) return NULL;
  void *block = malloc(size);
  if (!block) memory_discharge(pool->memory, size);
  return block;
}

static void free_block(struct pool *pool, void *block, size_t size) {
  memory_discharge(pool->memory, size);
  free(block);
}

void *pool_alloc(struct pool *pool, size_t size) {
  size_t class = class_of(size);
  struct pool_block *block = class < POOL_CLASSES ? pool->free[class] : NULL;
  if (!block) return new_block(pool, size_of(class, size));
  pool->free[class] = block->next;
  pool->kept[class]--;
  return block;
}

void pool_release(struct pool *pool, void *memory, size_t size) {
  size_t class = class_of(size);
  if (class >= POOL_CLASSES || pool->kept[class] >= POOL_KEPT) {
    free_block(pool, memory, size_of(class, size));
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
      free_block(pool, block, size_of(class, 0));
    }
    pool->kept[class] = 0;
  }
}
