/* Stands between a program and the C library: names with several addresses, accepts that find nothing, datagrams
 * that there is no room for. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef ssize_t sender(int, const struct msghdr *, int);
typedef int acceptor(int, struct sockaddr *, socklen_t *, int);

/* several.invalid has the numeric addresses of NETWORK_ADDRESSES, in that order. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  lookup *real = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
  const char *addresses = getenv("NETWORK_ADDRESSES");
  if (!host || !addresses || strcmp(host, "several.invalid") != 0)
    return real(host, service, hints, result);
  char *copy = strdup(addresses), *rest = NULL;
  struct addrinfo **end = result;
  int status = EAI_NONAME;
  for (char *one = strtok_r(copy, " ", &rest); one; one = strtok_r(NULL, " ", &rest)) {
    if ((status = real(one, service, hints, end))) break;
    while (*end) end = &(*end)->ai_next;
  }
  free(copy);
  return status;
}

/* The first NETWORK_EMPTY_ACCEPTS accepts find nothing, also when there is something. */
int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
  static int left = -1;
  acceptor *real = (acceptor *)dlsym(RTLD_NEXT, "accept4");
  const char *count = getenv("NETWORK_EMPTY_ACCEPTS");
  if (left < 0) left = count ? atoi(count) : 0;
  if (left == 0) return real(fd, address, size, flags);
  left--;
  errno = EAGAIN;
  return -1;
}

/* The kernel has no room for datagrams the first NETWORK_FULL_SENDS times that one is sent. */
static int is_full(void) {
  static int left = -1;
  const char *count = getenv("NETWORK_FULL_SENDS");
  if (left < 0) left = count ? atoi(count) : 0;
  if (left == 0) return 0;
  left--;
  errno = EAGAIN;
  return 1;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  sender *real = (sender *)dlsym(RTLD_NEXT, "sendmsg");
  return is_full() ? -1 : real(fd, message, flags);
}

/* libuv sends several at once by the number of the call. */
long syscall(long number, ...) {
  long (*real)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  long words[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) words[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_sendmmsg && is_full()) return -1;
  return real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}
