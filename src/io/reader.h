/* What was received and has not been read yet, and how much of it answers a call of read. Knows
 * neither Lua nor libuv: TCP, TLS, pipes and files share it. */
#ifndef NEAP_IO_READER_H
#define NEAP_IO_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum { READER_LIMIT = 64 * 1024, NUMERAL_MAX = 200 };

/* The bytes lie in [kept], or they are [lent]: then somebody else owns them, for the time being. */
struct reader {
  struct buffer kept;
  const char *lent;
  size_t lent_length;
  size_t limit; /* bytes of a line, and of what goes before a separator */
  bool ended;   /* nothing will follow */
};

static inline size_t reader_length(const struct reader *r) {
  return r->lent_length + buffer_length(&r->kept);
}

static inline const char *reader_bytes(const struct reader *r) {
  return r->lent_length > 0 ? r->lent : buffer_data(&r->kept);
}

/* Adds a copy of the bytes. Returns 0, or -1 when there is no memory. */
int reader_append(struct reader *r, const char *bytes, size_t length);

/* Adds the bytes, which stay where they are, to a reader that has none. */
void reader_lend(struct reader *r, const char *bytes, size_t length);

/* What is lent is copied. Returns 0, or -1 when there is no memory. */
int reader_keep(struct reader *r);

/* Forgets the first [length] bytes. */
void reader_consume(struct reader *r, size_t length);

/* Forgets all. */
void reader_free(struct reader *r);

enum request_kind {
  REQUEST_LINE,
  REQUEST_LINE_KEPT, /* with its newline */
  REQUEST_COUNT,     /* [count] bytes, or fewer before the end; 0 asks whether it has ended */
  REQUEST_ALL,
  REQUEST_NUMBER,
  REQUEST_EXACTLY, /* [count] bytes and no fewer */
  REQUEST_UNTIL,   /* up to the first of [count] separators, and with it */
  REQUEST_SOME,    /* what is there, at most [count] bytes */
};

struct separator {
  const char *bytes;
  size_t length;
};

struct request {
  enum request_kind kind;
  size_t count;
  struct separator one;
  const struct separator *many; /* UNTIL: NULL if [one] is the only separator */
};

enum answer {
  ANSWER_WAIT, /* more bytes are needed */
  ANSWER_VALUE,
  ANSWER_NOTHING, /* the end; or what is there is no number */
  ANSWER_SHORT,   /* the end came before the last byte, or before a separator */
  ANSWER_OVERRUN, /* the limit is exceeded */
};

/* Where the value lies, counted from where the request begins, and how many bytes it uses up. Of an
 * overrun [taken] says how many bytes hold nothing that was asked for. */
struct span {
  size_t start;
  size_t length;
  size_t taken;
};

/* What the bytes from [offset] on answer. [scanned] is for the next time, when there are more of
 * them: how many were looked through in vain. It begins as 0. */
enum answer reader_answer(const struct reader *reader, size_t offset, const struct request *request,
                          size_t *scanned, struct span *span);

/* A call that asks for one value or several, and how far the bytes answer it. */
struct reading {
  const struct request *requests;
  int count;
  int answered;   /* requests whose values are there */
  size_t offset;  /* behind those */
  size_t scanned; /* of the next one */
};

/* Whether the call need not wait. The bytes stay where they are. */
bool reader_is_ready(const struct reader *reader, struct reading *reading);

#endif
