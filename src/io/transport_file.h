/* A transport over the descriptor of a file, by way of libuv's pool. What is asked of a file is done in order, one
 * thing at a time, at the position that the kernel keeps with the descriptor, so that those who share it (a child, a
 * dup) agree about it. What was read ahead is given back to that position. */
#ifndef NEAP_IO_TRANSPORT_FILE_H
#define NEAP_IO_TRANSPORT_FILE_H

#include <stdint.h>

#include "io/transport.h"

/* Takes over [fd], unless it returns NULL for want of memory. [positioned]: the bytes stand still, and reading and
 * writing share one position; not so in a device such as /dev/zero. */
struct transport *transport_file(struct neap *rt, struct slab *slab, int fd, bool positioned);

bool transport_is_file(const struct transport *t);

/* What else can be done with a file. */
enum file_call {
  FILE_SEEK,     /* to [offset] from [whence]; the result is the new position */
  FILE_TRUNCATE, /* to [offset] bytes; -1: to the position */
  FILE_SYNC,
  FILE_STAT,
};

struct file_request;

/* Told once, unless it is forgotten before; the result is negative (UV_E*) if the call failed. [stat] is that of
 * FILE_STAT and is gone afterwards. */
typedef void file_done(void *owner, int64_t result, const uv_stat_t *stat);

/* Asks for a call behind all that was asked before. [done] may come before this returns. Returns 0 or UV_ENOMEM. */
int transport_file_ask(struct transport *t, enum file_call call, int whence, int64_t offset, file_done *done,
                       void *owner, struct file_request **request);

/* The owner is told no more; what was asked is done all the same. */
void transport_file_forget(struct file_request *request);

#endif
