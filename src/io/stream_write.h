/* Writing to a stream: at once what its transport takes, and waiting while too much is queued. */
#ifndef NEAP_IO_STREAM_WRITE_H
#define NEAP_IO_STREAM_WRITE_H

#include <lauxlib.h>

#include "io/stream.h"

enum { HIGH_WATER = 64 * 1024, LOW_PART = 4 };

/* The transport's queue has become shorter, or is broken. */
void stream_sent(void *owner);

/* Gives the waiting writers' bytes to the transport, as long as it is not full, and wakes those that
 * need not wait any more. */
void stream_feed_writers(struct stream *s);

/* The sending side is about to end: what waits to be written goes into the queue. */
void stream_queue_all(struct stream *s);

/* Ends every wait. */
void stream_wake_writers(struct stream *s, int status);

extern const luaL_Reg stream_write_methods[];

#endif
