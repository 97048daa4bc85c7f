#include "io/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/transport_file.h"
#include "io/transport_poll.h"
#include "io/transport_uv.h"

static bool can_be_waited_for(int fd) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN};
  bool can = epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
  if (epoll >= 0) close(epoll);
  return can;
}

static int look_at_socket(int fd) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address, type_size = sizeof(int);
  int type;
  if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) < 0)
    return uv_translate_sys_error(errno);
  if (type != SOCK_STREAM) return UV_EPROTOTYPE;
  return address.ss_family == AF_INET || address.ss_family == AF_INET6 ? DESCRIPTOR_TCP : DESCRIPTOR_PIPE;
}

/* Of a pseudo-terminal the side of the program that plays the terminal. libuv would block in writing to it. */
static bool is_controller(int fd) {
#ifdef TIOCGPTN
  unsigned number;
  return ioctl(fd, TIOCGPTN, &number) == 0;
#else
  return false;
#endif
}

static int look_at_device(int fd) {
  if (is_controller(fd)) return DESCRIPTOR_PIPE;
  if (isatty(fd)) return DESCRIPTOR_TTY;
  return can_be_waited_for(fd) ? DESCRIPTOR_PIPE : DESCRIPTOR_DEVICE;
}

int descriptor_look(int fd) {
  struct stat stat;
  if (fstat(fd, &stat) < 0) return uv_translate_sys_error(errno);
  if (S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode) || S_ISBLK(stat.st_mode)) return DESCRIPTOR_FILE;
  if (S_ISFIFO(stat.st_mode)) return DESCRIPTOR_PIPE;
  return S_ISSOCK(stat.st_mode) ? look_at_socket(fd) : look_at_device(fd);
}

/* A pipe's or a terminal's can be opened anew, which a socket's cannot; files never wait, and are to share their
 * position. */
int descriptor_copy(int fd, enum descriptor_kind kind, bool *shared) {
  char path[sizeof "/proc/self/fd/" + 3 * sizeof fd];
  struct stat stat;
  int flags = fcntl(fd, F_GETFL), copy = -1;
  bool fifo = kind == DESCRIPTOR_PIPE && fstat(fd, &stat) == 0 && S_ISFIFO(stat.st_mode);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (fifo || kind == DESCRIPTOR_TTY) copy = open(path, (flags & O_ACCMODE) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  *shared = copy < 0 && (kind == DESCRIPTOR_PIPE || kind == DESCRIPTOR_TCP);
  if (copy < 0) copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  return copy < 0 ? uv_translate_sys_error(errno) : copy;
}

static int open_file(struct neap *rt, struct slab *slab, int fd, bool positioned, struct transport **t) {
  int flags = fcntl(fd, F_GETFL);
  *t = transport_file(rt, slab, fd, positioned);
  if (!*t) return close(fd), UV_ENOMEM;
  (*t)->readable = (flags & O_ACCMODE) != O_WRONLY;
  (*t)->writable = (flags & O_ACCMODE) != O_RDONLY;
  return 0;
}

static int open_tty(struct neap *rt, struct slab *slab, int fd, struct transport **t) {
  int status = transport_tty(rt, slab, fd, t);
  if (status < 0) close(fd);
  return status;
}

/* Its own is closed by transport_open; what has no label yet is nobody's. */
static int open_stream(struct transport *t, int fd, struct transport **result) {
  if (!t) return close(fd), UV_ENOMEM;
  int status = transport_open(t, fd);
  if (status < 0)
    transport_release(t);
  else
    *result = t;
  return status;
}

static int open_kind(struct neap *rt, struct slab *slab, int fd, enum descriptor_kind kind, struct transport **t) {
  switch (kind) {
    case DESCRIPTOR_FILE:
    case DESCRIPTOR_DEVICE:
      return open_file(rt, slab, fd, kind == DESCRIPTOR_FILE, t);
    case DESCRIPTOR_TTY:
      return open_tty(rt, slab, fd, t);
    case DESCRIPTOR_TCP:
      return open_stream(transport_tcp(rt, slab), fd, t);
    default:
      return open_stream(transport_pipe(rt, slab), fd, t);
  }
}

int descriptor_open(struct neap *rt, struct slab *slab, int fd, enum descriptor_kind kind, bool shared,
                    const char *label, struct transport **result) {
  struct transport *t;
  int status = shared ? transport_poll(rt, slab, fd, &t) : open_kind(rt, slab, fd, kind, &t);
  if (status < 0) return status;
  if ((shared || kind != DESCRIPTOR_TCP) && (status = transport_set_label(t, label)) < 0)
    transport_release(t);
  else
    *result = t;
  return status;
}
