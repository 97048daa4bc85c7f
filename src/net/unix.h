/* Unix sockets: their paths, and the file that a listening one leaves in the file system. A path that begins with a
 * zero byte is an abstract name of Linux, and has no file: unix(7). */
#ifndef NEAP_NET_UNIX_H
#define NEAP_NET_UNIX_H

#include <lua.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/memory.h"

struct neap;

struct unix_address {
  struct sockaddr_un name;
  socklen_t length;
};

/* What a path is shown as: an abstract one with "@" in place of the zero byte. */
enum { UNIX_LABEL_MAX = sizeof(struct sockaddr_un) + 1 };

/* Returns 0, or UV_ENAMETOOLONG. */
int unix_address(struct unix_address *address, const char *path, size_t length);
const char *unix_label(const struct unix_address *address, char label[UNIX_LABEL_MAX]);

/* A path as argument at [index]: neither empty nor with a zero byte further in. */
const char *unix_check_path(lua_State *L, int index, size_t *length);

/* Returns a descriptor that listens there, or a code of libuv. A file that nobody listens at any more is replaced. A
 * [mode] other than 0 sets the file's permissions. */
int unix_listen(const struct unix_address *address, int backlog, mode_t mode);

/* What a listener on [address] remembers of its file, so that it removes no other. */
struct socket_file {
  dev_t device;
  ino_t inode;
  bool is_ours; /* to be removed */
  char path[];  /* as it is shown */
};

/* NULL without memory. Freed by memory_free. */
struct socket_file *socket_file_new(struct memory *memory, const struct unix_address *address, bool remove);
void socket_file_remove(struct socket_file *file);

/* Sets open_unix_connection as a field of the table on top. */
void unix_open(lua_State *L, struct neap *rt);

#endif
