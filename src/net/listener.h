/* Listeners: what servers accept connections from. */
#ifndef NEAP_NET_LISTENER_H
#define NEAP_NET_LISTENER_H

#include <lua.h>

#include "io/address.h"
#include "net/unix.h"

struct listener;
struct neap;

/* Of the connections it accepts. */
struct listener_options {
  size_t limit;
  bool nodelay;
  int keepalive;
};

/* Registers the kind of object. */
void listener_open(lua_State *L, struct neap *rt);

/* Pushes a listener, which is closed as long as it has no socket. */
struct listener *listener_new(lua_State *L, struct neap *rt, const struct listener_options *options);

/* Takes over a listening socket, and closes it if that fails. Returns 0 or a code of libuv. [file] is the listener's
 * in either case. */
int listener_take(struct listener *l, int fd, const union address *address);
int listener_take_file(struct listener *l, int fd, struct socket_file *file);

/* Of an internet socket. */
int listener_port(const struct listener *l);

/* May be called twice. */
void listener_close(struct listener *l);

#endif
