/* The stream that scripts see: buffered reading as of Lua's files, and writing with backpressure. */
#ifndef NEAP_IO_STREAM_H
#define NEAP_IO_STREAM_H

#include <lua.h>
#include <stddef.h>

struct neap;
struct transport;

struct stream;

/* Registers the kind of object. */
void stream_open(lua_State *L, struct neap *rt);

/* Pushes a stream that has no transport yet: to be given one, or dropped. */
struct stream *stream_new(lua_State *L, struct neap *rt, size_t limit);

/* The stream now owns the transport. */
void stream_attach(struct stream *s, struct transport *t);

#endif
