/* The floor of a server with TLS: echo in plain callbacks on libuv, with OpenSSL between two memory BIOs. It writes
 * at once what the socket takes and queues only the rest, and does not read a connection while something is queued
 * for it. Prints its port, and ends by itself after two minutes. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { BACKLOG = 128, CHUNK_BYTES = 64 * 1024, RECORD_BYTES = 16 * 1024, LIMIT_S = 120 };

struct conn {
  uv_tcp_t tcp; /* must be first */
  SSL *ssl;
  BIO *in, *out;
};

/* What a socket did not take at once: its bytes follow the request. */
struct rest {
  uv_write_t req;
  char bytes[];
};

static SSL_CTX *context;
static char chunk[CHUNK_BYTES], plain[RECORD_BYTES];

static void on_read(uv_stream_t *, ssize_t, const uv_buf_t *);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)handle, (void)suggested;
  *buf = uv_buf_init(chunk, sizeof(chunk));
}

static void on_close(uv_handle_t *handle) {
  struct conn *conn = (struct conn *)handle;
  SSL_free(conn->ssl);
  free(conn);
}

static void hang_up(struct conn *conn) {
  if (!uv_is_closing((uv_handle_t *)conn)) uv_close((uv_handle_t *)conn, on_close);
}

static void on_written(uv_write_t *req, int status) {
  struct conn *conn = (struct conn *)req->handle;
  free(req);
  if (status == UV_ECANCELED) return;
  if (status < 0 || uv_read_start((uv_stream_t *)conn, on_alloc, on_read) < 0) hang_up(conn);
}

static void queue_rest(struct conn *conn, const char *bytes, size_t n) {
  struct rest *rest = malloc(sizeof(*rest) + n);
  uv_buf_t buf = uv_buf_init(rest->bytes, (unsigned)n);
  memcpy(rest->bytes, bytes, n);
  uv_read_stop((uv_stream_t *)conn);
  if (uv_write(&rest->req, (uv_stream_t *)conn, &buf, 1, on_written) < 0) {
    free(rest);
    hang_up(conn);
  }
}

/* Sends all that OpenSSL has written. */
static void flush(struct conn *conn) {
  char *bytes;
  long n = BIO_get_mem_data(conn->out, &bytes);
  if (n <= 0) return;
  uv_buf_t out = uv_buf_init(bytes, (unsigned)n);
  int written = uv_try_write((uv_stream_t *)conn, &out, 1);
  if (written == UV_EAGAIN) written = 0;
  if (written < 0)
    hang_up(conn);
  else if (written < n)
    queue_rest(conn, bytes + written, (size_t)(n - written));
  (void)BIO_reset(conn->out);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  struct conn *conn = (struct conn *)stream;
  int got;
  if (n == 0) return;
  if (n < 0) {
    hang_up(conn);
    return;
  }
  BIO_write(conn->in, buf->base, (int)n);
  ERR_clear_error();
  while ((got = SSL_read(conn->ssl, plain, sizeof(plain))) > 0) SSL_write(conn->ssl, plain, got);
  if (SSL_get_error(conn->ssl, got) != SSL_ERROR_WANT_READ) hang_up(conn);
  flush(conn);
}

static void on_connection(uv_stream_t *server, int status) {
  if (status < 0) return;
  struct conn *conn = malloc(sizeof(*conn));
  uv_tcp_init(server->loop, &conn->tcp);
  conn->ssl = SSL_new(context);
  conn->in = BIO_new(BIO_s_mem());
  conn->out = BIO_new(BIO_s_mem());
  SSL_set_bio(conn->ssl, conn->in, conn->out);
  SSL_set_accept_state(conn->ssl);
  if (uv_accept(server, (uv_stream_t *)conn) < 0 || uv_read_start((uv_stream_t *)conn, on_alloc, on_read) < 0)
    hang_up(conn);
  else
    uv_tcp_nodelay(&conn->tcp, 1);
}

static int make_context(void) {
  context = SSL_CTX_new(TLS_server_method());
  return SSL_CTX_use_certificate_chain_file(context, "build/bench/tls.pem") == 1 &&
         SSL_CTX_use_PrivateKey_file(context, "build/bench/tls.key", SSL_FILETYPE_PEM) == 1;
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
  if (!make_context()) {
    fputs("tls_echo: no certificate\n", stderr);
    return 1;
  }
  uv_ip4_addr("127.0.0.1", 0, &addr);
  uv_tcp_init(loop, &server);
  int err = uv_tcp_bind(&server, (const struct sockaddr *)&addr, 0);
  if (err == 0) err = uv_listen((uv_stream_t *)&server, BACKLOG, on_connection);
  if (err < 0) {
    fprintf(stderr, "tls_echo: %s\n", uv_strerror(err));
    return 1;
  }
  printf("%d\n", port_of(&server));
  fflush(stdout);
  return uv_run(loop, UV_RUN_DEFAULT);
}
