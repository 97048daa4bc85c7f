/* Socket addresses, and what becomes of names. */
#ifndef NEAP_IO_ADDRESS_H
#define NEAP_IO_ADDRESS_H

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/memory.h"

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* Of names, with a scope ("fe80::1%eth0"), and with a port. */
enum { HOST_MAX = INET6_ADDRSTRLEN + 1 + IF_NAMESIZE, ADDRESS_MAX = HOST_MAX + 8 };

struct addresses {
  int count;
  union address list[];
};

/* Reads a numeric address; of a link-local one the scope must be the name of an interface. */
bool address_parse(union address *address, const char *host, int port);

socklen_t address_size(const union address *address);
int address_port(const union address *address);
void address_set_port(union address *address, int port);

/* The numeric host, with its scope. */
void address_numeric(const union address *address, char host[HOST_MAX]);

/* The same, but an IPv4 address in IPv6's clothes is shown as what it is. */
void address_host(const union address *address, char host[HOST_MAX]);

/* "127.0.0.1:80" or "[::1]:80". Returns [name]. */
const char *address_name(const union address *address, char name[ADDRESS_MAX]);

/* A list with room for [count], or NULL without memory. Freed by memory_free. */
struct addresses *addresses_new(struct memory *memory, int count);

/* What getaddrinfo found, with [port] if that is not negative; or NULL without memory. */
struct addresses *addresses_from(struct memory *memory, const struct addrinfo *found, int port);

#endif
