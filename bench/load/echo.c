/* echo SIZE CONNECTIONS SECONDS COMMAND [ARG ...]
 *
 * Starts COMMAND, an echo server that prints its port, and plays ping-pong with
 * it: each connection sends SIZE bytes, waits until all of them are back, and
 * sends again. After a warm-up, in which every byte is checked, it counts for
 * SECONDS and prints the requests per second and the processor time the server
 * spent on each. Then it ends the server. With LOAD_TLS defined all of that goes
 * over TLS. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef LOAD_TLS
#include <openssl/ssl.h>
#define PREFIX "tls_"
#else
#define PREFIX ""
#endif

enum { PATIENCE_MS = 20000, MAX_SIZE = 64 * 1024, EVENTS = 64 };

struct conn {
  int fd;
  size_t got; /* bytes of the current answer that are back */
#ifdef LOAD_TLS
  SSL *ssl;
#endif
};

static pid_t server;
static char message[MAX_SIZE], answer[MAX_SIZE];
static size_t size;

static void stop_server(void) {
  const struct timespec tick = {0, 10 * 1000 * 1000};
  kill(server, SIGTERM);
  for (int i = 0; i < 200; i++) {
    if (waitpid(server, NULL, WNOHANG) != 0) return;
    nanosleep(&tick, NULL);
  }
  kill(server, SIGKILL);
  waitpid(server, NULL, 0);
}

static void die(const char *why) {
  fprintf(stderr, "echo load: %s\n", why);
  if (server > 0) stop_server();
  exit(1);
}

/* The system call [what] failed. */
static void die_errno(const char *what) {
  fprintf(stderr, "echo load: %s: ", what);
  die(strerror(errno));
}

static double seconds_of(clockid_t clock) {
  struct timespec t;
  if (clock_gettime(clock, &t) < 0) die("the server is gone");
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Starts the server with its output on a pipe, whose other end is returned.
 * The kernel ends the server should this process end before it. */
static int start_server(char **command) {
  int ends[2];
  if (pipe(ends) < 0) die_errno("pipe");
  server = fork();
  if (server < 0) die_errno("fork");
  if (server == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
  }
  close(ends[1]);
  return ends[0];
}

static int read_port(int fd) {
  char line[32];
  size_t n = 0;
  while (n < sizeof(line) - 1) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, PATIENCE_MS) != 1) die("the server printed no port");
    if (read(fd, line + n, 1) != 1) die("the server ended before it printed its port");
    if (line[n] == '\n') break;
    n++;
  }
  line[n] = '\0';
  return atoi(line);
}

/* A blocking socket: no more than one message is ever under way, so a send
 * cannot block for long; what is received is asked for without waiting. */
static int dial(int port) {
  struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  const int on = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) die_errno("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

#ifdef LOAD_TLS

static SSL_CTX *context;

static void shake(struct conn *c) {
  if (!context) context = SSL_CTX_new(TLS_client_method());
  c->ssl = SSL_new(context);
  SSL_set_fd(c->ssl, c->fd);
  if (SSL_connect(c->ssl) != 1) die("the handshake failed");
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

static ssize_t transmit(struct conn *c, const char *bytes, size_t n) { return SSL_write(c->ssl, bytes, (int)n); }

static ssize_t receive(struct conn *c, char *bytes, size_t n) {
  int got = SSL_read(c->ssl, bytes, (int)n);
  if (got > 0) return got;
  errno = EAGAIN;
  return SSL_get_error(c->ssl, got) == SSL_ERROR_WANT_READ ? -1 : 0;
}

#else

static void shake(struct conn *c) { (void)c; }

static ssize_t transmit(struct conn *c, const char *bytes, size_t n) { return send(c->fd, bytes, n, MSG_NOSIGNAL); }

static ssize_t receive(struct conn *c, char *bytes, size_t n) { return recv(c->fd, bytes, n, MSG_DONTWAIT); }

#endif

static void send_message(struct conn *c) {
  size_t sent = 0;
  while (sent < size) {
    ssize_t n = transmit(c, message + sent, size - sent);
    if (n < 0) die_errno("send");
    sent += (size_t)n;
  }
}

/* Reads some of what is there. Returns 1 if that ended an answer, and sends anew; 0; or -1 if nothing was there. */
static int read_some(struct conn *c, int check) {
  ssize_t n = receive(c, answer, size - c->got);
  if (n < 0 && errno == EAGAIN) return -1;
  if (n < 0) die_errno("recv");
  if (n == 0) die("the server hung up");
  if (check && memcmp(answer, message + c->got, (size_t)n) != 0)
    die("the answer is not what was sent");
  c->got += (size_t)n;
  if (c->got < size) return 0;
  c->got = 0;
  send_message(c);
  return 1;
}

/* A record of TLS that was read wakes no poll: there it is read until nothing is there. */
static int on_readable(struct conn *c, int check) {
  int answers = 0, result = read_some(c, check);
#ifdef LOAD_TLS
  for (; result == 0; result = read_some(c, check)) continue;
#endif
  if (result > 0) answers = result;
  return answers;
}

/* Plays for [seconds] and returns the number of answers. */
static long play(int epoll, double seconds, int check) {
  struct epoll_event events[EVENTS];
  double end = seconds_of(CLOCK_MONOTONIC) + seconds;
  long requests = 0;
  while (seconds_of(CLOCK_MONOTONIC) < end) {
    int n = epoll_wait(epoll, events, EVENTS, PATIENCE_MS);
    if (n == 0) die("the server does not answer");
    for (int i = 0; i < n; i++) requests += on_readable(events[i].data.ptr, check);
  }
  return requests;
}

static int connect_all(int port, struct conn *conns, int count) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < count; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};
    conns[i].fd = dial(port);
    shake(&conns[i]);
    epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &event);
    send_message(&conns[i]);
  }
  return epoll;
}

static void measure(int epoll, double seconds) {
  clockid_t server_clock;
  play(epoll, seconds / 5, 1);
  if (clock_getcpuclockid(server, &server_clock) != 0) die("no clock of the server");
  double begin = seconds_of(CLOCK_MONOTONIC);
  double cpu_s = seconds_of(server_clock);
  long requests = play(epoll, seconds, 0);
  cpu_s = seconds_of(server_clock) - cpu_s;
  double wall_s = seconds_of(CLOCK_MONOTONIC) - begin;
  printf(PREFIX "echo_%zu_requests_per_s %.0f\n", size, (double)requests / wall_s);
  printf(PREFIX "echo_%zu_server_cpu_us %.3f\n", size, cpu_s / (double)requests * 1e6);
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fputs("usage: echo SIZE CONNECTIONS SECONDS COMMAND [ARG ...]\n", stderr);
    return 2;
  }
  size = (size_t)atol(argv[1]);
  int count = atoi(argv[2]);
  if (size < 1 || size > MAX_SIZE || count < 1) die("bad SIZE or CONNECTIONS");
  for (size_t i = 0; i < size; i++) message[i] = (char)('a' + i % 26);
  struct conn *conns = calloc((size_t)count, sizeof(*conns));
  int port = read_port(start_server(argv + 4));
  measure(connect_all(port, conns, count), atof(argv[3]));
  stop_server();
  free(conns);
  return 0;
}
