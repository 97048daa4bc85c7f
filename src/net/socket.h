/* Listening sockets, as plain descriptors. */
#ifndef NEAP_NET_SOCKET_H
#define NEAP_NET_SOCKET_H

#include <stdbool.h>

#include "io/address.h"

/* Returns a descriptor that listens there, without blocking, and brings the port of [address] up to
 * date; or a code of libuv. The address "::" takes IPv4 too. With [reuse_port] others may listen there too. */
int socket_listen(union address *address, int backlog, bool reuse_port);

/* Returns the descriptor of the next connection, UV_EAGAIN if there is none, or another code. */
int socket_accept(int fd);

#endif
