#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Lies before each block, which keeps malloc's alignment. */
struct header {
  struct memory *memory;
  size_t size; /* with the header */
};

_Static_assert(sizeof(struct header) % (2 * sizeof(void *)) == 0, "blocks would lose their alignment");

struct memory *memory_new(void) {
  struct memory *memory = calloc(1, sizeof *memory);
  if (memory) memory->limit = SIZE_MAX;
  return memory;
}

static void free_unused(struct memory *memory) {
  if (memory->let_go && memory->blocks == 0) free(memory);
}

void memory_let_go(struct memory *memory) {
  memory->let_go = true;
  free_unused(memory);
}

bool memory_charge(struct memory *memory, size_t size) {
  if (!memory_allows(memory, size)) return false;
  memory->used += size;
  return true;
}

static void *begin_block(struct memory *memory, struct header *header, size_t size) {
  header->memory = memory;
  header->size = size;
  return header + 1;
}

void *memory_alloc(struct memory *memory, size_t size) {
  if (size > SIZE_MAX - sizeof(struct header)) return NULL;
  size += sizeof(struct header);
  if (!memory_charge(memory, size)) return NULL;
  struct header *header = malloc(size);
  if (!header) {
    memory_discharge(memory, size);
    return NULL;
  }
  memory->blocks++;
  return begin_block(memory, header, size);
}

void *memory_calloc(struct memory *memory, size_t count, size_t size) {
  if (size > 0 && count > SIZE_MAX / size) return NULL;
  void *block = memory_alloc(memory, count * size);
  return block ? memset(block, 0, count * size) : NULL;
}

void *memory_realloc(struct memory *memory, void *block, size_t size) {
  if (!block) return memory_alloc(memory, size);
  struct header *header = (struct header *)block - 1;
  size_t before = header->size;
  if (size > SIZE_MAX - sizeof *header) return NULL;
  size += sizeof *header;
  if (size > before && !memory_charge(memory, size - before)) return NULL;
  struct header *moved = realloc(header, size);
  if (!moved) {
    if (size > before) memory_discharge(memory, size - before);
    return NULL;
  }
  if (size < before) memory_discharge(memory, before - size);
  return begin_block(memory, moved, size);
}

void memory_free(void *block) {
  if (!block) return;
  struct header *header = (struct header *)block - 1;
  struct memory *memory = header->memory;
  memory->used -= header->size;
  memory->blocks--;
  free(header);
  free_unused(memory);
}
