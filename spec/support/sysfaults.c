/* Stands between a program and the C library (LD_PRELOAD): the k-th call of a function fails with a chosen errno, or
 * every call transfers a byte. Specs say which by neap_sysfaults, the module in sysfaults_module.c, or NEAP_FAULT does:
 *   connect:ECONNRESET:2   the second connect fails, in the whole program
 *   partial:1              reads and writes transfer 1 byte at most, after 2,000 of them on a descriptor odd counts, lest
 *                          megabytes take minutes; between them, by turns, EINTR and EAGAIN
 * What a failed call would have done is not done, but for close, which always closes. */
#include "sysfaults.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { NAMES_MAX = 128, FDS_MAX = 4096, SHORT_TRANSFERS = 2000, ODD_BYTES = 9973 };

/* What is to fail. [lock] is held to change it, and by those who count. */
static struct {
  pthread_mutex_t lock;
  atomic_bool armed;
  char name[64]; /* of the function; "": calls are only counted */
  int error;
  int k;            /* the call that fails */
  bool pipes;    /* those that are pipes are the program's own, not libuv's */
  bool fired;
  struct sysfaults_count counts[NAMES_MAX];
  size_t partial;                   /* bytes at a time; 0: all */
  atomic_uint transfers[FDS_MAX]; /* of each descriptor */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct sysfaults_count *count_of(const char *name) {
  struct sysfaults_count *count = state.counts;
  while (count < state.counts + NAMES_MAX - 1 && count->name && strcmp(count->name, name)) count++;
  if (!count->name) count->name = name;
  return count;
}

/* The error with which this call fails, or 0. [name] is a constant. */
static int fault(const char *name) {
  if (!atomic_load_explicit(&state.armed, memory_order_relaxed)) return 0;
  pthread_mutex_lock(&state.lock);
  int error = 0, calls = ++count_of(name)->calls;
  if (state.k == calls && !strcmp(state.name, name)) {
    state.fired = true;
    error = state.error;
  }
  pthread_mutex_unlock(&state.lock);
  return error;
}

/* --- what specs call --- */

EXPORT void sysfaults_arm(const char *name, int error, int k, bool pipes) {
  pthread_mutex_lock(&state.lock);
  memset(state.counts, 0, sizeof state.counts);
  snprintf(state.name, sizeof state.name, "%s", name ? name : "");
  state.error = error;
  state.k = k;
  state.pipes = pipes;
  state.fired = false;
  atomic_store(&state.armed, true);
  pthread_mutex_unlock(&state.lock);
}

EXPORT bool sysfaults_disarm(void) {
  atomic_store(&state.armed, false);
  pthread_mutex_lock(&state.lock);
  bool fired = state.fired;
  pthread_mutex_unlock(&state.lock);
  return fired;
}

EXPORT const struct sysfaults_count *sysfaults_counts(void) { return state.counts; }

static const struct {
  const char *name;
  int error;
} errors[] = {
    {"EACCES", EACCES}, {"EADDRINUSE", EADDRINUSE}, {"EADDRNOTAVAIL", EADDRNOTAVAIL},
    {"EAGAIN", EAGAIN}, {"EBADF", EBADF}, {"EBUSY", EBUSY}, {"ECONNABORTED", ECONNABORTED},
    {"ECONNREFUSED", ECONNREFUSED}, {"ECONNRESET", ECONNRESET}, {"EDQUOT", EDQUOT},
    {"EEXIST", EEXIST}, {"EHOSTUNREACH", EHOSTUNREACH}, {"EINTR", EINTR}, {"EINVAL", EINVAL},
    {"EIO", EIO}, {"EISDIR", EISDIR}, {"ELOOP", ELOOP}, {"EMFILE", EMFILE}, {"ENAMETOOLONG", ENAMETOOLONG},
    {"ENETUNREACH", ENETUNREACH}, {"ENFILE", ENFILE}, {"ENOBUFS", ENOBUFS}, {"ENODEV", ENODEV},
    {"ENOENT", ENOENT}, {"ENOMEM", ENOMEM}, {"ENOSPC", ENOSPC}, {"ENOTCONN", ENOTCONN}, {"ENOTDIR", ENOTDIR},
    {"ENOTSUP", ENOTSUP}, {"EPERM", EPERM}, {"EPIPE", EPIPE}, {"EPROTO", EPROTO}, {"EROFS", EROFS},
    {"ETIMEDOUT", ETIMEDOUT}, {"EXDEV", EXDEV}, {"E2BIG", E2BIG}, {"ENOEXEC", ENOEXEC},
    {"EAI_AGAIN", EAI_AGAIN}, {"EAI_BADFLAGS", EAI_BADFLAGS}, {"EAI_FAIL", EAI_FAIL},
    {"EAI_FAMILY", EAI_FAMILY}, {"EAI_MEMORY", EAI_MEMORY}, {"EAI_NODATA", EAI_NODATA},
    {"EAI_NONAME", EAI_NONAME}, {"EAI_OVERFLOW", EAI_OVERFLOW}, {"EAI_SERVICE", EAI_SERVICE},
    {"EAI_SOCKTYPE", EAI_SOCKTYPE}, {"EAI_SYSTEM", EAI_SYSTEM},
};

EXPORT int sysfaults_error(const char *name) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (!strcmp(errors[i].name, name)) return errors[i].error;
  return 0;
}

static void refuse(const char *text) {
  fprintf(stderr, "NEAP_FAULT=%s: not FUNCTION:ERROR:NUMBER or partial:BYTES\n", text);
  _exit(2);
}

__attribute__((constructor)) static void read_environment(void) {
  const char *text = getenv("NEAP_FAULT");
  char name[64], error[32];
  int k = 1;
  if (!text || !*text) return;
  if (sscanf(text, "partial:%zu", &state.partial) == 1) return;
  if (sscanf(text, "%63[^:]:%31[^:]:%d", name, error, &k) < 2 || !sysfaults_error(error)) refuse(text);
  sysfaults_arm(name, sysfaults_error(error), k, false);
}

/* --- calls that fail, or are made as they are --- */

static void *find(void **found, const char *name) {
  if (!*found) *found = dlsym(RTLD_NEXT, name);
  return *found;
}

/* The C library's own function. */
#define CALL(name, ...)                                                  \
  __extension__({                                                        \
    static void *found_;                                                 \
    ((__typeof__(&(name)))find(&found_, #name))(__VA_ARGS__);            \
  })

/* A function that fails by [failure] and errno, counted as [as]. */
#define WRAP(type, failure, as, name, parameters, ...) \
  EXPORT type name parameters {                        \
    int error = fault(as);                             \
    if (error) {                                       \
      errno = error;                                   \
      return failure;                                  \
    }                                                  \
    return CALL(name, __VA_ARGS__);                    \
  }

WRAP(int, -1, "socket", socket, (int domain, int type, int protocol), domain, type, protocol)
WRAP(int, -1, "socketpair", socketpair, (int domain, int type, int protocol, int fds[2]), domain, type,
     protocol, fds)
WRAP(int, -1, "bind", bind, (int fd, const struct sockaddr *address, socklen_t size), fd, address, size)
WRAP(int, -1, "connect", connect, (int fd, const struct sockaddr *address, socklen_t size), fd, address,
     size)
WRAP(int, -1, "listen", listen, (int fd, int backlog), fd, backlog)
WRAP(int, -1, "accept", accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags), fd,
     address, size, flags)
WRAP(int, -1, "getsockname", getsockname, (int fd, struct sockaddr *address, socklen_t *size), fd, address,
     size)
WRAP(int, -1, "getpeername", getpeername, (int fd, struct sockaddr *address, socklen_t *size), fd, address,
     size)
WRAP(int, -1, "setsockopt", setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
     fd, level, name, value, size)
WRAP(int, -1, "getsockopt", getsockopt, (int fd, int level, int name, void *value, socklen_t *size), fd,
     level, name, value, size)
WRAP(int, -1, "shutdown", shutdown, (int fd, int how), fd, how)
WRAP(int, -1, "pipe", pipe2, (int fds[2], int flags), fds, flags)
WRAP(int, -1, "eventfd", eventfd, (unsigned value, int flags), value, flags)
WRAP(int, -1, "epoll_create", epoll_create1, (int flags), flags)
WRAP(int, -1, "inotify_init", inotify_init1, (int flags), flags)
WRAP(int, -1, "inotify_add_watch", inotify_add_watch, (int fd, const char *path, uint32_t mask), fd, path,
     mask)

WRAP(int, -1, "stat", stat, (const char *path, struct stat *result), path, result)
WRAP(int, -1, "stat", stat64, (const char *path, struct stat64 *result), path, result)
WRAP(int, -1, "lstat", lstat, (const char *path, struct stat *result), path, result)
WRAP(int, -1, "lstat", lstat64, (const char *path, struct stat64 *result), path, result)
WRAP(int, -1, "fstat", fstat, (int fd, struct stat *result), fd, result)
WRAP(int, -1, "fstat", fstat64, (int fd, struct stat64 *result), fd, result)
WRAP(off_t, -1, "lseek", lseek, (int fd, off_t offset, int whence), fd, offset, whence)
WRAP(off64_t, -1, "lseek", lseek64, (int fd, off64_t offset, int whence), fd, offset, whence)
WRAP(int, -1, "mkdir", mkdir, (const char *path, mode_t mode), path, mode)
WRAP(char *, NULL, "mkdtemp", mkdtemp, (char *template), template)
WRAP(int, -1, "mkstemp", mkstemp, (char *template), template)
WRAP(int, -1, "mkstemp", mkstemp64, (char *template), template)
WRAP(int, -1, "rename", rename, (const char *from, const char *to), from, to)
WRAP(int, -1, "unlink", unlink, (const char *path), path)
WRAP(int, -1, "rmdir", rmdir, (const char *path), path)
WRAP(int, -1, "scandir", scandir64,
     (const char *path, struct dirent64 ***names, int (*select)(const struct dirent64 *),
      int (*compare)(const struct dirent64 **, const struct dirent64 **)),
     path, names, select, compare)
WRAP(DIR *, NULL, "opendir", opendir, (const char *path), path)
WRAP(struct dirent64 *, NULL, "readdir", readdir64, (DIR *dir), dir)
WRAP(int, -1, "access", access, (const char *path, int mode), path, mode)
WRAP(int, -1, "chmod", chmod, (const char *path, mode_t mode), path, mode)
WRAP(int, -1, "fchmod", fchmod, (int fd, mode_t mode), fd, mode)
WRAP(int, -1, "chown", chown, (const char *path, uid_t owner, gid_t group), path, owner, group)
WRAP(int, -1, "link", link, (const char *from, const char *to), from, to)
WRAP(int, -1, "symlink", symlink, (const char *target, const char *path), target, path)
WRAP(ssize_t, -1, "readlink", readlink, (const char *path, char *result, size_t size), path, result, size)
WRAP(char *, NULL, "realpath", realpath, (const char *path, char *result), path, result)
WRAP(int, -1, "ftruncate", ftruncate, (int fd, off_t size), fd, size)
WRAP(int, -1, "ftruncate", ftruncate64, (int fd, off64_t size), fd, size)
WRAP(int, -1, "fsync", fsync, (int fd), fd)
WRAP(int, -1, "fdatasync", fdatasync, (int fd), fd)
WRAP(int, -1, "utime", utimensat, (int dir, const char *path, const struct timespec times[2], int flags),
     dir, path, times, flags)
WRAP(int, -1, "utime", futimens, (int fd, const struct timespec times[2]), fd, times)
WRAP(ssize_t, -1, "sendfile", sendfile, (int to, int from, off_t *offset, size_t size), to, from, offset,
     size)
WRAP(ssize_t, -1, "sendfile", sendfile64, (int to, int from, off64_t *offset, size_t size), to, from,
     offset, size)
WRAP(int, -1, "statfs", fstatfs64, (int fd, struct statfs64 *result), fd, result)

WRAP(pid_t, -1, "fork", fork, (void))
WRAP(pid_t, -1, "waitpid", waitpid, (pid_t pid, int *status, int options), pid, status, options)
WRAP(int, -1, "exec", execvp, (const char *file, char *const words[]), file, words)
WRAP(int, -1, "kill", kill, (pid_t pid, int number), pid, number)
WRAP(int, -1, "sigaction", sigaction,
     (int number, const struct sigaction *action, struct sigaction *old), number, action, old)
WRAP(int, error, "pthread_create", pthread_create,
     (pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument), thread,
     attributes, start, argument)
WRAP(int, error, "getaddrinfo", getaddrinfo,
     (const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result), host,
     service, hints, result)
WRAP(int, error, "getnameinfo", getnameinfo,
     (const struct sockaddr *address, socklen_t size, char *host, socklen_t host_size, char *service,
      socklen_t service_size, int flags),
     address, size, host, host_size, service, service_size, flags)

/* libuv takes an error of any other call than these for its own, and ends the process: it adds no
 * descriptor here for good, it only asks whether it could. */
EXPORT int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
  bool asks = operation == EPOLL_CTL_ADD && event && event->data.fd == -1;
  int error = asks ? fault("epoll_ctl") : 0;
  if (!error) return CALL(epoll_ctl, epoll, operation, fd, event);
  errno = error;
  return -1;
}

static mode_t mode_of(int flags, va_list *rest) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(*rest, mode_t) : 0;
}

#define WRAP_OPEN(name)                                   \
  EXPORT int name(const char *path, int flags, ...) {     \
    va_list rest;                                         \
    va_start(rest, flags);                                \
    mode_t mode = mode_of(flags, &rest);                  \
    va_end(rest);                                         \
    int error = fault("open");                            \
    if (!error) return CALL(name, path, flags, mode);     \
    errno = error;                                        \
    return -1;                                            \
  }

WRAP_OPEN(open)
WRAP_OPEN(open64)

static int close_and_fail(int fd) {
  if (fd >= 0 && fd < FDS_MAX) atomic_store(&state.transfers[fd], 0);
  int error = fault("close");
  int status = CALL(close, fd);
  if (!error) return status;
  errno = error;
  return -1;
}

EXPORT int close(int fd) { return close_and_fail(fd); }

/* --- reading and writing --- */

/* What loops are woken by, and hear of signals and children: with the kernel having no error to give there, libuv
 * ends the process by one. */
static bool is_own(int fd) {
  char path[32], target[32] = "";
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t length = CALL(readlink, path, target, sizeof target - 1);
  return length > 0 && (!strcmp(target, "anon_inode:[eventfd]") || (!state.pipes && !strncmp(target, "pipe:", 5)));
}

static bool is_datagram(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return CALL(getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type != SOCK_STREAM;
}

/* Whether nothing more will come: libuv then takes a short read for the last one. */
static bool is_hung_up(int fd) {
  struct pollfd poller = {.fd = fd};
  return CALL(poll, &poller, 1, 0) == 1 && poller.revents & POLLHUP;
}

/* Whether the call may be interrupted, and told to come again: others than libuv's would not. */
static bool is_polled(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && flags & O_NONBLOCK;
}

/* The error that comes between: each second call fails, by turns in the two ways. */
static int disturbance(int fd) {
  static _Thread_local unsigned calls;
  if (!is_polled(fd) || ++calls % 2) return 0;
  return calls % 4 ? EINTR : EAGAIN;
}

/* How many bytes may pass at most. */
static size_t share(int fd) {
  unsigned before = fd >= 0 && fd < FDS_MAX ? atomic_fetch_add(&state.transfers[fd], 1) : 0;
  return before < SHORT_TRANSFERS ? state.partial : before * 7919 % ODD_BYTES + 1;
}

/* What happens before a transfer of *[size] bytes: the error that it fails with, or 0. */
static int transfer(const char *name, int fd, size_t *size) {
  if (!state.partial) {
    if (!atomic_load_explicit(&state.armed, memory_order_relaxed)) return 0;
    return is_own(fd) ? 0 : fault(name);
  }
  int saved = errno;
  bool own = is_own(fd), whole = own || is_datagram(fd) || is_hung_up(fd);
  int error = own ? 0 : disturbance(fd);
  errno = saved;
  if (error || whole) return error;
  size_t most = share(fd);
  if (*size > most) *size = most;
  return 0;
}

/* The first buffers, with [size] bytes in all. Returns how many they are. */
static int shorten(struct iovec *copy, const struct iovec *buffers, int count, size_t size) {
  int used = 0;
  for (; used < count && used < SYSFAULTS_BUFFERS && size > 0; used++) {
    copy[used] = buffers[used];
    if (copy[used].iov_len > size) copy[used].iov_len = size;
    size -= copy[used].iov_len;
  }
  return used;
}

static size_t size_of(const struct iovec *buffers, size_t count) {
  size_t size = 0;
  for (size_t i = 0; i < count; i++) size += buffers[i].iov_len;
  return size;
}

#define TRANSFER(name, fd, size)              \
  int error = transfer(name, fd, size);       \
  if (error) {                                \
    errno = error;                            \
    return -1;                                \
  }

EXPORT ssize_t read(int fd, void *bytes, size_t size) {
  TRANSFER("read", fd, &size)
  return CALL(read, fd, bytes, size);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t size) {
  TRANSFER("write", fd, &size)
  return CALL(write, fd, bytes, size);
}

EXPORT ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset) {
  TRANSFER("read", fd, &size)
  return CALL(pread64, fd, bytes, size, offset);
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
  TRANSFER("write", fd, &size)
  return CALL(pwrite64, fd, bytes, size, offset);
}

EXPORT ssize_t recv(int fd, void *bytes, size_t size, int flags) {
  TRANSFER("read", fd, &size)
  return CALL(recv, fd, bytes, size, flags);
}

EXPORT ssize_t send(int fd, const void *bytes, size_t size, int flags) {
  TRANSFER("write", fd, &size)
  return CALL(send, fd, bytes, size, flags);
}

EXPORT ssize_t readv(int fd, const struct iovec *buffers, int count) {
  struct iovec copy[SYSFAULTS_BUFFERS];
  size_t whole = size_of(buffers, (size_t)count), size = whole;
  TRANSFER("read", fd, &size)
  if (size < whole) count = shorten(copy, buffers, count, size);
  return CALL(readv, fd, size < whole ? copy : buffers, count);
}

EXPORT ssize_t writev(int fd, const struct iovec *buffers, int count) {
  struct iovec copy[SYSFAULTS_BUFFERS];
  size_t whole = size_of(buffers, (size_t)count), size = whole;
  TRANSFER("write", fd, &size)
  if (size < whole) count = shorten(copy, buffers, count, size);
  return CALL(writev, fd, size < whole ? copy : buffers, count);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  struct iovec copy[SYSFAULTS_BUFFERS];
  struct iovec *buffers = message->msg_iov;
  size_t count = message->msg_iovlen, whole = size_of(buffers, count), size = whole;
  TRANSFER("read", fd, &size)
  if (size < whole) {
    message->msg_iovlen = (size_t)shorten(copy, buffers, (int)count, size);
    message->msg_iov = copy;
  }
  ssize_t result = CALL(recvmsg, fd, message, flags);
  message->msg_iov = buffers;
  message->msg_iovlen = count;
  return result;
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  struct iovec copy[SYSFAULTS_BUFFERS];
  struct msghdr shorter = *message;
  size_t whole = size_of(message->msg_iov, message->msg_iovlen), size = whole;
  TRANSFER("write", fd, &size)
  if (size < whole) {
    shorter.msg_iovlen = (size_t)shorten(copy, message->msg_iov, (int)message->msg_iovlen, size);
    shorter.msg_iov = copy;
  }
  return CALL(sendmsg, fd, &shorter, flags);
}

/* What libuv calls by its number. */
EXPORT long syscall(long number, ...) {
  long arguments[6];
  va_list rest;
  va_start(rest, number);
  for (int i = 0; i < 6; i++) arguments[i] = va_arg(rest, long);
  va_end(rest);
  int error = 0;
  switch (number) {
    case SYS_close: return close_and_fail((int)arguments[0]);
    case SYS_statx: error = fault("stat"); break;
    case SYS_copy_file_range: error = fault("copy_file_range"); break;
    case SYS_preadv: error = fault("read"); break;
    case SYS_pwritev: error = fault("write"); break;
    case SYS_recvmmsg: error = fault("read"); break;
    case SYS_sendmmsg: error = fault("write"); break;
  }
  if (!error)
    return CALL(syscall, number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
  errno = error;
  return -1;
}
