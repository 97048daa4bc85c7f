/* A transport over a descriptor that is shared with others who expect it to block: a standard stream that is a
 * socket, which cannot be opened anew. The descriptor stays as it is; it is asked before each call whether that would
 * wait. */
#ifndef NEAP_IO_TRANSPORT_POLL_H
#define NEAP_IO_TRANSPORT_POLL_H

#include "io/transport.h"

/* Takes over [fd]; closes it if that fails. Returns 0 or UV_E*. */
int transport_poll(struct neap *rt, struct slab *slab, int fd, struct transport **result);

#endif
