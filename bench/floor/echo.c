/* The floor of a server: TCP echo in plain callbacks on libuv. It writes at
 * once what the socket takes and queues only the rest, and does not read a
 * connection while something is queued for it. Prints its port, and ends by
 * itself after two minutes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { BACKLOG = 128, CHUNK_BYTES = 64 * 1024, LIMIT_S = 120 };

/* What a socket did not take at once: its bytes follow the request. */
struct rest {
  uv_write_t req;
  char bytes[];
};

/* One buffer for all: a chunk is written, or copied, before the next is read. */
static char chunk[CHUNK_BYTES];

static void on_read(uv_stream_t *, ssize_t, const uv_buf_t *);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)handle, (void)suggested;
  *buf = uv_buf_init(chunk, sizeof(chunk));
}

static void on_close(uv_handle_t *handle) {
  free(handle);
}

static void hang_up(uv_stream_t *conn) {
  if (!uv_is_closing((uv_handle_t *)conn)) uv_close((uv_handle_t *)conn, on_close);
}

static void on_written(uv_write_t *req, int status) {
  uv_stream_t *conn = req->handle;
  free(req);
  if (status == UV_ECANCELED) return;
  if (status < 0 || uv_read_start(conn, on_alloc, on_read) < 0) hang_up(conn);
}

static void queue_rest(uv_stream_t *conn, const char *bytes, size_t n) {
  struct rest *rest = malloc(sizeof(*rest) + n);
  uv_buf_t buf = uv_buf_init(rest->bytes, (unsigned)n);
  memcpy(rest->bytes, bytes, n);
  uv_read_stop(conn);
  if (uv_write(&rest->req, conn, &buf, 1, on_written) < 0) {
    free(rest);
    hang_up(conn);
  }
}

static void on_read(uv_stream_t *conn, ssize_t n, const uv_buf_t *buf) {
  if (n == 0) return;
  if (n < 0) {
    hang_up(conn);
    return;
  }
  uv_buf_t out = uv_buf_init(buf->base, (unsigned)n);
  int written = uv_try_write(conn, &out, 1);
  if (written == UV_EAGAIN) written = 0;
  if (written < 0)
    hang_up(conn);
  else if (written < n)
    queue_rest(conn, buf->base + written, (size_t)(n - written));
}

static void on_connection(uv_stream_t *server, int status) {
  if (status < 0) return;
  uv_tcp_t *conn = malloc(sizeof(*conn));
  uv_tcp_init(server->loop, conn);
  if (uv_accept(server, (uv_stream_t *)conn) < 0 ||
      uv_read_start((uv_stream_t *)conn, on_alloc, on_read) < 0)
    hang_up((uv_stream_t *)conn);
  else
    uv_tcp_nodelay(conn, 1);
}

static int port_of(const uv_tcp_t *server) {
  struct sockaddr_in addr;
  int length = sizeof(addr);
  uv_tcp_getsockname(server, (struct sockaddr *)&addr, &length);
  return ntohs(addr.sin_port);
}

int main(void) {
  uv_loop_t *loop = uv_default_loop();
  uv_tcp_t server;
  struct sockaddr_in addr;
  alarm(LIMIT_S);
  uv_ip4_addr("127.0.0.1", 0, &addr);
  uv_tcp_init(loop, &server);
  int err = uv_tcp_bind(&server, (const struct sockaddr *)&addr, 0);
  if (err == 0) err = uv_listen((uv_stream_t *)&server, BACKLOG, on_connection);
  if (err < 0) {
    fprintf(stderr, "echo: %s\n", uv_strerror(err));
    return 1;
  }
  printf("%d\n", port_of(&server));
  fflush(stdout);
  return uv_run(loop, UV_RUN_DEFAULT);
}
