/* A growable queue of bytes: written at the end, read at the front, contiguous in between. */
#ifndef NEAP_BASE_BUFFER_H
#define NEAP_BASE_BUFFER_H

#include <stddef.h>

#include "base/memory.h"

struct buffer {
  struct memory *memory;
  char *bytes;
  size_t start; /* offset of the first unread byte */
  size_t end;   /* offset behind the last one */
  size_t capacity;
};

static inline size_t buffer_length(const struct buffer *b) { return b->end - b->start; }
static inline const char *buffer_data(const struct buffer *b) { return b->bytes + b->start; }

/* Appends a copy of the bytes. Returns 0, or -1 when there is no memory. */
int buffer_append(struct buffer *b, const char *bytes, size_t length);

/* Forgets the first [length] bytes, which must be there. An empty buffer keeps no large block. */
void buffer_consume(struct buffer *b, size_t length);

void buffer_free(struct buffer *b);

#endif
