#include "io/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

bool address_parse(union address *address, const char *host, int port) {
  memset(address, 0, sizeof *address);
  if (uv_ip4_addr(host, port, &address->v4) == 0) return true;
  if (uv_ip6_addr(host, port, &address->v6) < 0) return false;
  return address->v6.sin6_scope_id != 0 || !strchr(host, '%');
}

socklen_t address_size(const union address *address) {
  return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

static const in_port_t *port_of(const union address *address) {
  return address->any.sa_family == AF_INET6 ? &address->v6.sin6_port : &address->v4.sin_port;
}

int address_port(const union address *address) {
  return ntohs(*port_of(address));
}

void address_set_port(union address *address, int port) {
  *(in_port_t *)port_of(address) = htons((in_port_t)port);
}

static void append_scope(const union address *address, char host[HOST_MAX]) {
  char name[IF_NAMESIZE];
  unsigned scope = address->v6.sin6_scope_id;
  size_t length = strlen(host);
  if (scope == 0) return;
  if (if_indextoname(scope, name))
    snprintf(host + length, HOST_MAX - length, "%%%s", name);
  else
    snprintf(host + length, HOST_MAX - length, "%%%u", scope);
}

void address_numeric(const union address *address, char host[HOST_MAX]) {
  if (address->any.sa_family == AF_INET6) {
    uv_inet_ntop(AF_INET6, &address->v6.sin6_addr, host, HOST_MAX);
    append_scope(address, host);
  } else {
    uv_inet_ntop(AF_INET, &address->v4.sin_addr, host, HOST_MAX);
  }
}

void address_host(const union address *address, char host[HOST_MAX]) {
  if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
    uv_inet_ntop(AF_INET, &address->v6.sin6_addr.s6_addr[12], host, HOST_MAX);
  else
    address_numeric(address, host);
}

const char *address_name(const union address *address, char name[ADDRESS_MAX]) {
  char host[HOST_MAX];
  address_host(address, host);
  snprintf(name, ADDRESS_MAX, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, address_port(address));
  return name;
}

struct addresses *addresses_new(struct memory *memory, int count) {
  struct addresses *addresses =
      memory_calloc(memory, 1, sizeof *addresses + (size_t)count * sizeof addresses->list[0]);
  if (addresses) addresses->count = count;
  return addresses;
}

static bool is_internet(const struct addrinfo *found) {
  return found->ai_family == AF_INET || found->ai_family == AF_INET6;
}

struct addresses *addresses_from(struct memory *memory, const struct addrinfo *found, int port) {
  int count = 0;
  for (const struct addrinfo *info = found; info; info = info->ai_next) count += is_internet(info);
  struct addresses *addresses = addresses_new(memory, count);
  if (!addresses) return NULL;
  union address *address = addresses->list;
  for (const struct addrinfo *info = found; info; info = info->ai_next) {
    if (!is_internet(info)) continue;
    memcpy(address, info->ai_addr, info->ai_addrlen);
    if (port >= 0) address_set_port(address, port);
    address++;
  }
  return addresses;
}
