/* Reading from a stream: what its transport brings, and the calls that wait for it. */
#ifndef NEAP_IO_STREAM_READ_H
#define NEAP_IO_STREAM_READ_H

#include <lauxlib.h>

#include "io/stream.h"

/* The transport received bytes. */
void stream_receive(void *owner, const char *bytes, size_t length);

/* Nothing more will come: the end of file (0), or an error. */
void stream_stop_reading(struct stream *s, int status);

/* The slab is needed for the next poll. */
void stream_keep_received(struct borrower *borrower);

/* Drops what was not read. */
void stream_forget_received(struct stream *s);

extern const luaL_Reg stream_read_methods[];

#endif
