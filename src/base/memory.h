/* An account of bytes, and blocks that are on it. A block knows its account, so that it can be freed
 * anywhere, also after the account's owner has gone: the account lives until its last block is freed. All
 * of it belongs to one thread. */
#ifndef NEAP_BASE_MEMORY_H
#define NEAP_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct memory {
  size_t used;
  size_t limit;  /* SIZE_MAX: none */
  bool binding;  /* what would pass the limit is refused now; otherwise it is only counted */
  bool let_go;   /* by its owner */
  size_t blocks;

  /* Asked, once, when the limit refuses a block: it may free others. NULL: nobody can. */
  void (*reclaim)(void *owner);
  void *owner;
};

/* An account without a limit, or NULL without memory. */
struct memory *memory_new(void);

/* The owner needs it no more. */
void memory_let_go(struct memory *memory);

static inline bool memory_allows(const struct memory *memory, size_t size) {
  return !memory->binding || (memory->used <= memory->limit && size <= memory->limit - memory->used);
}

/* For who knows the size of his blocks himself. Returns false, with nothing charged, if the limit refuses
 * it. */
bool memory_charge(struct memory *memory, size_t size);

static inline void memory_discharge(struct memory *memory, size_t size) { memory->used -= size; }

/* As the functions of the C library; NULL also when the limit refuses it. */
void *memory_alloc(struct memory *memory, size_t size);
void *memory_calloc(struct memory *memory, size_t count, size_t size);
void *memory_realloc(struct memory *memory, void *block, size_t size);

/* [block] may be NULL. */
void memory_free(void *block);

#endif
