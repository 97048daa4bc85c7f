#include "base/heap.h"

enum { ARITY = 4, MIN_CAPACITY = 64 };

static int before(const struct heap_entry *a, const struct heap_entry *b) {
  if (a->key != b->key) return a->key < b->key;
  return (int32_t)(a->node->order - b->node->order) < 0;
}

static void place(struct heap *heap, uint32_t index, struct heap_entry entry) {
  heap->entries[index] = entry;
  entry.node->index = index;
}

static void sift_up(struct heap *heap, uint32_t index, struct heap_entry entry) {
  while (index > 0) {
    uint32_t parent = (index - 1) / ARITY;
    if (!before(&entry, &heap->entries[parent])) break;
    place(heap, index, heap->entries[parent]);
    index = parent;
  }
  place(heap, index, entry);
}

static uint32_t least_child(const struct heap *heap, uint32_t index) {
  uint64_t child = (uint64_t)index * ARITY + 1;
  uint64_t end = child + ARITY;
  if (child >= heap->count) return HEAP_ABSENT;
  if (end > heap->count) end = heap->count;
  uint64_t least = child;
  while (++child < end)
    if (before(&heap->entries[child], &heap->entries[least])) least = child;
  return (uint32_t)least;
}

static void sift_down(struct heap *heap, uint32_t index, struct heap_entry entry) {
  uint32_t child;
  while ((child = least_child(heap, index)) != HEAP_ABSENT) {
    if (!before(&heap->entries[child], &entry)) break;
    place(heap, index, heap->entries[child]);
    index = child;
  }
  place(heap, index, entry);
}

static int resize(struct heap *heap, uint32_t capacity) {
  struct heap_entry *entries = memory_realloc(heap->memory, heap->entries, capacity * sizeof *entries);
  if (!entries) return -1;
  heap->entries = entries;
  heap->capacity = capacity;
  return 0;
}

int heap_insert(struct heap *heap, struct heap_node *node) {
  if (heap->count == heap->capacity) {
    uint32_t capacity = heap->capacity ? heap->capacity * 2 : MIN_CAPACITY;
    if (resize(heap, capacity)) return -1;
  }
  node->order = heap->next_order++;
  sift_up(heap, heap->count++, (struct heap_entry){node->key, node});
  return 0;
}

void heap_remove(struct heap *heap, struct heap_node *node) {
  uint32_t index = node->index;
  if (index == HEAP_ABSENT) return;
  node->index = HEAP_ABSENT;
  struct heap_entry last = heap->entries[--heap->count];
  if (last.node != node) {
    if (index > 0 && before(&last, &heap->entries[(index - 1) / ARITY]))
      sift_up(heap, index, last);
    else
      sift_down(heap, index, last);
  }
  /* A heap that once held a million deadlines gives the memory back; shrinking cannot matter. */
  if (heap->capacity > MIN_CAPACITY && heap->count < heap->capacity / 8)
    (void)resize(heap, heap->capacity / 4);
}

void heap_free(struct heap *heap) {
  for (uint32_t i = 0; i < heap->count; i++) heap->entries[i].node->index = HEAP_ABSENT;
  memory_free(heap->entries);
  *heap = (struct heap){.memory = heap->memory};
}
