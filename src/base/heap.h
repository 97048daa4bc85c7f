/* A 4-ary heap of deadlines. Keys stand in the array itself, so that sifting reads no member; a
 * member knows its place, so that removing one takes O(log n). */
#ifndef NEAP_BASE_HEAP_H
#define NEAP_BASE_HEAP_H

#include <stdint.h>

#include "base/memory.h"

#define HEAP_ABSENT UINT32_MAX

struct heap_node {
  int64_t key;
  uint32_t order; /* breaks ties: members with equal keys leave in order of insertion */
  uint32_t index; /* place in the array, or HEAP_ABSENT */
};

struct heap_entry {
  int64_t key;
  struct heap_node *node;
};

struct heap {
  struct memory *memory;
  struct heap_entry *entries;
  uint32_t count;
  uint32_t capacity;
  uint32_t next_order;
};

/* Returns 0, or -1 when there is no memory. [node->key] is set by the caller. */
int heap_insert(struct heap *heap, struct heap_node *node);

/* Does nothing to a node that is not in the heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

void heap_free(struct heap *heap);

static inline struct heap_node *heap_first(const struct heap *heap) {
  return heap->count ? heap->entries[0].node : (struct heap_node *)0;
}

#endif
