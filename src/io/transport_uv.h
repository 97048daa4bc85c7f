/* Transports over libuv's streams: TCP, Unix sockets and pipes, terminals. */
#ifndef NEAP_IO_TRANSPORT_UV_H
#define NEAP_IO_TRANSPORT_UV_H

#include "io/transport.h"

/* Each returns NULL without memory. They are not connected to anything yet, and keep the loop alive only by what
 * they are busy with. */
struct transport *transport_tcp(struct neap *rt, struct slab *slab);
struct transport *transport_pipe(struct neap *rt, struct slab *slab);

/* Takes over a terminal's descriptor. Returns 0, or a code of libuv: then the descriptor is left as it was. */
int transport_tty(struct neap *rt, struct slab *slab, int fd, struct transport **result);

bool transport_is_tty(const struct transport *t);

/* The modes of a terminal, until it is closed: what is typed comes as it is, or by lines. Return 0 or UV_E*. */
int transport_set_raw(struct transport *t, bool raw);
int transport_winsize(struct transport *t, int *columns, int *rows);

/* Takes over a descriptor: a connected socket; of a pipe's transport also a pipe, for one direction or both. Closes
 * it if that fails. */
int transport_open(struct transport *t, int fd);

/* Options of a TCP connection; no more than a wish. [keepalive]: seconds of silence before it is tested; 0: never. */
void transport_set_tcp(struct transport *t, bool nodelay, int keepalive);

/* Begins to connect, from [local] unless it is NULL; [owner] is told by [connected]. */
int transport_connect(struct transport *t, const union address *address, const union address *local,
                      void (*connected)(void *owner, int status), void *owner);

#endif
