#include "net/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>
#include <uv.h>

static int last_error(void) {
  return uv_translate_sys_error(errno);
}

static int set_options(int fd, const union address *address, bool reuse_port) {
  int on = 1, off = 0;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)) return -1;
  if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) return -1;
  if (address->any.sa_family != AF_INET6) return 0;
  return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
}

int socket_listen(union address *address, int backlog, bool reuse_port) {
  socklen_t length = sizeof *address;
  int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return last_error();
  if (set_options(fd, address, reuse_port) ||
      bind(fd, &address->any, address_size(address)) || listen(fd, backlog) ||
      getsockname(fd, &address->any, &length)) {
    int error = last_error();
    close(fd);
    return error;
  }
  return fd;
}

/* The connection's own troubles are not the listener's. */
static bool is_passing(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTUNREACH:
      return true;
    default:
      return false;
  }
}

static bool has_waiting(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  return poll(&poll_fd, 1, 0) > 0;
}

/* Without descriptors the system says so before it looks whether anyone waits. */
int socket_accept(int fd) {
  for (;;) {
    int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0) return accepted;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return UV_EAGAIN;
    int error = last_error();
    if (error == UV_EMFILE || error == UV_ENFILE) return has_waiting(fd) ? error : UV_EAGAIN;
    if (!is_passing(errno)) return error;
  }
}
