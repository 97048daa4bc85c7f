/* The stream that scripts see: buffered reading as of Lua's files, and writing with backpressure, over
 * a transport. Its methods are in three files: stream.c (closing, addresses), stream_read.c and
 * stream_write.c. */
#ifndef NEAP_IO_STREAM_H
#define NEAP_IO_STREAM_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "io/reader.h"
#include "io/slab.h"
#include "io/transport.h"

struct read_op;

/* Lives in a userdata. An op that waits for it is awaited by a call that has the stream as its first
 * argument, and so keeps it alive. */
struct stream {
  struct neap *rt;
  struct transport *transport; /* NULL only before it is attached */
  struct reader reader;
  size_t ahead;             /* so many bytes may be received unasked, about: the reader's limit, or as for files */
  struct borrower borrower; /* linked while the reader's bytes lie in the slab */
  int error;                /* what ended the reading: 0 or UV_E* */
  struct read_op *reading;  /* one task at a time may read */
  struct list writers;      /* struct write_op, in order of arrival */
  struct list shutters;     /* struct end_op: half closing */
  struct list closers;      /* struct end_op: until it is closed */
  unsigned waits;           /* ops of calls on it that were not dropped, woken ones too */
  size_t high;              /* above so many queued bytes writers wait */
  size_t low;               /* until there are so few */
  bool full;                /* has been above [high] and not yet at [low] */
  bool shutting;            /* the sending side was ended */
  bool shut;
  bool closed;    /* for the program; the transport may still be sending */
  bool collected; /* the transport is let go when nobody waits for it any more */
};

/* Registers the kind of object. */
void stream_open(lua_State *L, struct neap *rt);

/* Pushes a stream that has no transport yet: to be given one, or dropped. */
struct stream *stream_new(lua_State *L, struct neap *rt, size_t limit);

/* The same with lines of any length, as in Lua's files, if [limit] is 0. */
struct stream *stream_new_unlimited(lua_State *L, struct neap *rt, size_t limit);

/* The option "limit" of the table at [index], if there is one, or its default. */
size_t stream_option_limit(lua_State *L, int index);

/* The stream now owns the transport. A layer over a stream's transport (TLS) takes that, and what was received and
 * not read, and is attached in its place, while the stream is idle. */
void stream_attach(struct stream *s, struct transport *t);

/* Whether no call waits for it. */
bool stream_is_idle(const struct stream *s);

/* As stream:close() and stream:abort(). */
void stream_close(struct stream *s);
void stream_abort(struct stream *s);

/* Lets go of the transport of a collected stream that no op waits for: where a state is closed, or a
 * program calls __gc, the ops go last. */
void stream_let_go(struct stream *s);

/* The drop of an op that was counted in [waits]. */
static inline void stream_end_wait(struct stream *s) {
  s->waits--;
  stream_let_go(s);
}

/* The stream that is the first argument; raises if it is none, or is closed. */
struct stream *stream_check(lua_State *L);
struct stream *stream_check_open(lua_State *L, const char *call);

/* Raise where the stream goes in one direction only, and that is the other one. */
void stream_check_readable(lua_State *L, const struct stream *s, const char *call);
void stream_check_writable(lua_State *L, const struct stream *s, const char *call);

/* Raises where a task is reading from what has but one position. */
void stream_check_alone(lua_State *L, const struct stream *s, const char *call);

/* What was received and not read is left to the next read, or to be overwritten, where there is a position. */
void stream_give_back(struct stream *s);

/* The error of what was written, for whoever is told of it; a file is not broken by it for ever. */
int stream_take_error(struct stream *s);

/* An argument that counts bytes. */
size_t stream_check_count(lua_State *L, int index, lua_Integer least);

/* Whom the stream leads to, for messages. Returns [name]. */
const char *stream_name(const struct stream *s, char name[ADDRESS_MAX]);

/* Pushes nil, err, code for a call on the stream. */
int stream_failure(lua_State *L, const struct stream *s, int status, const char *call);

#endif
