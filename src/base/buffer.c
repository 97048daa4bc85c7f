#include "base/buffer.h"

#include <string.h>

enum { MIN_CAPACITY = 512, KEPT_CAPACITY = 4096 };

static int reserve(struct buffer *b, size_t more) {
  size_t length = buffer_length(b);
  if (b->capacity - b->end >= more) return 0;
  if (b->start >= length && b->capacity - length >= more) {
    memcpy(b->bytes, b->bytes + b->start, length);
  } else {
    size_t capacity = b->capacity ? b->capacity : MIN_CAPACITY;
    while (capacity - length < more) capacity *= 2;
    char *bytes = memory_alloc(b->memory, capacity);
    if (!bytes) return -1;
    if (length) memcpy(bytes, b->bytes + b->start, length);
    memory_free(b->bytes);
    b->bytes = bytes;
    b->capacity = capacity;
  }
  b->start = 0;
  b->end = length;
  return 0;
}

int buffer_append(struct buffer *b, const char *bytes, size_t length) {
  if (length == 0) return 0;
  if (reserve(b, length)) return -1;
  memcpy(b->bytes + b->end, bytes, length);
  b->end += length;
  return 0;
}

void buffer_consume(struct buffer *b, size_t length) {
  b->start += length;
  if (b->start < b->end) return;
  b->start = b->end = 0;
  if (b->capacity > KEPT_CAPACITY) buffer_free(b);
}

void buffer_free(struct buffer *b) {
  memory_free(b->bytes);
  *b = (struct buffer){.memory = b->memory};
}
