#include "io/transport_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/work.h"

enum { BLOCK_BYTES = 64 * 1024, BLOCKS_AT_ONCE = 8, BLOCKS_A_TURN = 64, JOINED_BYTES = 16 * 1024 };

/* What a read fills. */
struct block {
  size_t size;
  char bytes[];
};

/* Stands in the file's queue; the first may be what the pool is busy with. */
struct file_request {
  struct list link;
  bool writes;         /* [length] bytes; else [call] */
  enum file_call call;
  int whence;
  int64_t offset;
  uv_fs_t *stat;       /* of FILE_STAT */
  file_done *done;     /* NULL: nobody is told */
  void *owner;
  size_t length;
  size_t room; /* for bytes */
  char bytes[];
};

enum doing { DOING_NOTHING, DOING_READ, DOING_REQUEST, DOING_CLOSE };

struct file {
  struct transport base; /* must be first */
  struct work work;      /* that is in flight, unless [doing] is nothing */
  uv_loop_t *loop;       /* may outlive the runtime */
  struct list queue;     /* struct file_request */
  struct block *block;   /* for the next read, or of that in flight; or NULL */
  struct block *lent;    /* where what was received last may still lie */
  int64_t unread;        /* the position is to go back by so much before anything else */
  int64_t result;        /* of what was in flight */
  size_t queued;         /* bytes of writes */
  int fd;
  uint8_t doing;
  uint8_t blocks;        /* that were read at once since [poll] */
  int64_t poll;          /* [rt->last_poll] when the first of them was */
  bool waits;            /* the file system cannot say whether a read would have to wait for a disk */
  bool dropped;          /* the read in flight is not wanted any more */
  bool shutting;
};

static const struct transport_kind device_kind;

static struct file *file_of(struct transport *t) { return (struct file *)t; }

static struct file_request *first_request(const struct file *file) {
  return container_of(file->queue.next, struct file_request, link);
}

/* --- in the pool --- */

static int64_t result_of(int64_t returned) { return returned < 0 ? uv_translate_sys_error(errno) : returned; }

static int64_t read_block(int fd, struct block *block) {
  ssize_t n;
  do n = read(fd, block->bytes, block->size);
  while (n < 0 && errno == EINTR);
  return result_of(n);
}

static int64_t write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = write(fd, bytes, length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return result_of(n);
    bytes += n;
    length -= (size_t)n;
  }
  return 0;
}

static int64_t truncate_file(int fd, int64_t size) {
  if (size < 0) size = lseek(fd, 0, SEEK_CUR);
  return size < 0 ? result_of(size) : result_of(ftruncate(fd, size));
}

static int64_t call(int fd, struct file_request *request) {
  if (request->writes) return write_all(fd, request->bytes, request->length);
  switch (request->call) {
    case FILE_SEEK:
      return result_of(lseek(fd, request->offset, request->whence));
    case FILE_TRUNCATE:
      return truncate_file(fd, request->offset);
    case FILE_SYNC:
      return result_of(fsync(fd));
    case FILE_STAT:
      return uv_fs_fstat(NULL, request->stat, fd, NULL);
  }
  return 0;
}

static int64_t do_it(struct file *file) {
  if (file->doing == DOING_READ) return read_block(file->fd, file->block);
  if (file->doing == DOING_REQUEST) return call(file->fd, first_request(file));
  return result_of(close(file->fd));
}

/* A device may have nothing to give for ever. */
static void run(struct work *work) {
  struct file *file = container_of(work, struct file, work);
  bool may_block = file->base.kind == &device_kind;
  if (may_block) work_may_block(true);
  file->result = do_it(file);
  if (may_block) work_may_block(false);
}

/* --- one after another --- */

static void go_on(struct file *file);
static void landed(struct work *work, int status);

/* Of a runtime that ends the resources are unlinked. */
static void submit(struct file *file, enum doing doing) {
  struct neap *rt = list_empty(&file->base.resource.link) ? NULL : file->base.rt;
  file->doing = doing;
  file->work.run = run;
  file->work.done = landed;
  work_submit(&file->work, rt, file->loop);
}

static void step_back(struct file *file) {
  if (file->unread > 0) lseek(file->fd, -file->unread, SEEK_CUR);
  file->unread = 0;
}

static void end_request(struct file *file, struct file_request *request, int64_t result) {
  list_remove(&request->link);
  if (request->writes) file->queued -= request->length;
  if (request->done) request->done(request->owner, result, request->stat ? &request->stat->statbuf : NULL);
  memory_free(request);
}

/* Behind a write that failed the others would stand in the wrong place. */
static void drop_writes(struct file *file) {
  list_each(node, &file->queue) {
    struct file_request *request = container_of(node, struct file_request, link);
    if (request->writes) end_request(file, request, 0);
  }
}

static void end_first(struct file *file) {
  struct transport *t = &file->base;
  struct file_request *request = first_request(file);
  bool writes = request->writes;
  end_request(file, request, file->result);
  if (!writes) return;
  if (file->result < 0) {
    t->error = (int)file->result;
    drop_writes(file);
  }
  if (t->owner) t->events->sent(t->owner);
}

/* The block before may be used again: what lay there was read, or is copied where more is received. */
static void deliver(struct file *file, size_t length) {
  struct transport *t = &file->base;
  struct block *before = file->lent, *now = file->block;
  if (length < BLOCK_BYTES / 2) {
    struct block *less = memory_realloc(t->rt->memory, now, sizeof *less + length);
    if (less) now = less, now->size = length;
  }
  file->lent = now;
  file->block = NULL;
  t->events->received(t->owner, now->bytes, length);
  if (before && before->size == BLOCK_BYTES)
    file->block = before;
  else
    memory_free(before);
}

static void end_read(struct file *file) {
  struct transport *t = &file->base;
  bool wanted = !file->dropped && !t->closing && t->owner;
  file->dropped = false;
  if (!wanted) {
    if (file->result > 0) file->unread += file->result;
  } else if (file->result > 0) {
    deliver(file, (size_t)file->result);
  } else {
    t->events->ended(t->owner, (int)file->result);
  }
}

static void end_close(struct file *file) {
  struct transport *t = &file->base;
  if (file->result < 0 && !t->error) t->error = (int)file->result;
  transport_closed(t);
}

/* Whether nothing is behind the position, for sure. */
static bool is_at_end(int fd) {
  struct stat stat;
  return fstat(fd, &stat) == 0 && lseek(fd, 0, SEEK_CUR) >= stat.st_size;
}

/* Reads what is in memory. Returns false if there is nothing to tell. */
static bool read_cached(struct file *file) {
  struct iovec room = {.iov_base = file->block->bytes, .iov_len = file->block->size};
  ssize_t n = preadv2(file->fd, &room, 1, -1, RWF_NOWAIT);
  file->waits = n < 0 && errno != EAGAIN && errno != EINTR;
  file->base.on_demand = !file->waits;
  if (n < 0 || (n == 0 && !is_at_end(file->fd))) return false;
  file->result = n;
  return true;
}

static void forget_block(struct file *file) {
  memory_free(file->block);
  file->block = NULL;
}

static bool need_block(struct file *file) {
  if (file->block) return true;
  file->block = memory_alloc(file->base.rt->memory, sizeof *file->block + BLOCK_BYTES);
  if (file->block) file->block->size = BLOCK_BYTES;
  return file->block != NULL;
}

/* Others are to have their turn. */
static bool may_read_now(struct file *file) {
  if (file->poll != file->base.rt->last_poll) file->blocks = 0;
  file->poll = file->base.rt->last_poll;
  return file->blocks++ < BLOCKS_A_TURN && !file->waits;
}

static bool read_now(struct transport *t) {
  struct file *file = file_of(t);
  if (file->doing != DOING_NOTHING || !list_empty(&file->queue)) return false;
  if (!may_read_now(file) || !need_block(file)) return false;
  step_back(file);
  if (!read_cached(file)) return false;
  end_read(file);
  if (file->result == 0) forget_block(file);
  return true;
}

/* Before the pool is asked again. */
static void read_on_now(struct file *file) {
  int count = 0;
  while (file->base.reading && !file->base.closing && count++ < BLOCKS_AT_ONCE && read_now(&file->base)) continue;
}

static void landed(struct work *work, int status) {
  struct file *file = container_of(work, struct file, work);
  enum doing done = file->doing;
  (void)status;
  if (done == DOING_CLOSE) {
    end_close(file);
    return;
  }
  file->doing = DOING_NOTHING;
  if (done == DOING_READ)
    end_read(file);
  else
    end_first(file);
  read_on_now(file);
  go_on(file);
}

static void read_on(struct file *file) {
  struct transport *t = &file->base;
  if (need_block(file))
    submit(file, DOING_READ);
  else
    t->events->ended(t->owner, UV_ENOMEM);
}

static void tell_shut(struct file *file) {
  struct transport *t = &file->base;
  file->shutting = false;
  if (t->owner) t->events->shut(t->owner, t->error);
}

/* To seek takes no time, so that it needs no thread. */
static bool is_quick(const struct file_request *request) {
  return !request->writes && request->call == FILE_SEEK;
}

static void go_on(struct file *file) {
  while (file->doing == DOING_NOTHING) {
    step_back(file);
    if (!list_empty(&file->queue)) {
      struct file_request *request = first_request(file);
      if (!is_quick(request))
        submit(file, DOING_REQUEST);
      else
        end_request(file, request, call(file->fd, request));
    } else if (file->shutting) {
      tell_shut(file);
    } else if (file->base.closing) {
      submit(file, DOING_CLOSE);
    } else if (file->base.reading) {
      read_on(file);
    } else {
      forget_block(file);
      return;
    }
  }
}

/* --- the transport --- */

static int start(struct transport *t) {
  struct file *file = file_of(t);
  if (!need_block(file)) return UV_ENOMEM;
  t->reading = true;
  go_on(file);
  return 0;
}

/* What is in flight is still received. */
static void stop(struct transport *t) { (void)t; }

static void hold(struct transport *t, bool on) { (void)t, (void)on; }

static struct file_request *new_request(struct file *file, size_t length) {
  struct file_request *request = memory_alloc(file->base.rt->memory, sizeof *request + length);
  if (!request) return NULL;
  *request = (struct file_request){.length = length, .room = length};
  return request;
}

static void append(struct file *file, struct file_request *request) {
  list_append(&file->queue, &request->link);
  go_on(file);
}

/* What waits behind others leaves room for more. */
static struct file_request *new_write(struct file *file, size_t length) {
  bool waits = file->doing != DOING_NOTHING && length < JOINED_BYTES;
  struct file_request *request = new_request(file, waits ? JOINED_BYTES : length);
  if (!request) return NULL;
  request->writes = true;
  request->length = 0;
  return request;
}

/* The last of the queue, if it is a write that is not under way, with room for so much more. */
static struct file_request *joinable(struct file *file, size_t length) {
  if (list_empty(&file->queue)) return NULL;
  struct file_request *last = container_of(file->queue.prev, struct file_request, link);
  bool busy = file->doing == DOING_REQUEST && last == first_request(file);
  return last->writes && !busy && last->room - last->length >= length ? last : NULL;
}

static int write_file(struct transport *t, const uv_buf_t *bufs, unsigned count) {
  struct file *file = file_of(t);
  size_t length = 0;
  for (unsigned i = 0; i < count; i++) length += bufs[i].len;
  if (t->error || length == 0) return t->error;
  struct file_request *last = joinable(file, length), *request = last ? last : new_write(file, length);
  if (!request) return t->error = UV_ENOMEM;
  for (unsigned i = 0; i < count; i++) {
    memcpy(request->bytes + request->length, bufs[i].base, bufs[i].len);
    request->length += bufs[i].len;
  }
  file->queued += length;
  if (!last) append(file, request);
  return 0;
}

static size_t queued(const struct transport *t) { return ((const struct file *)t)->queued; }

static int end_writing(struct transport *t) {
  file_of(t)->shutting = true;
  go_on(file_of(t));
  return 0;
}

static void close_file(struct transport *t) { go_on(file_of(t)); }

/* The one that is in flight is the first of the queue. */
static void abort_file(struct transport *t) {
  struct file *file = file_of(t);
  struct list *busy = file->doing == DOING_REQUEST ? file->queue.next : NULL;
  list_each(node, &file->queue) {
    if (node != busy) end_request(file, container_of(node, struct file_request, link), UV_ECANCELED);
  }
  go_on(file);
}

static void give_back(struct transport *t, size_t unread) {
  struct file *file = file_of(t);
  file->unread += (int64_t)unread;
  if (file->doing == DOING_READ) file->dropped = true;
}

static void free_file(struct transport *t) {
  memory_free(file_of(t)->block);
  memory_free(file_of(t)->lent);
}

#define COMMON \
  .start = start, .stop = stop, .hold = hold, .write = write_file, .queued = queued, .shutdown = end_writing, \
  .close = close_file, .abort = abort_file, .resumes = true, .free = free_file

static const struct transport_kind file_kind = {COMMON, .give_back = give_back, .read_now = read_now};
static const struct transport_kind device_kind = {COMMON};

bool transport_is_file(const struct transport *t) { return t->kind == &file_kind || t->kind == &device_kind; }

struct transport *transport_file(struct neap *rt, struct slab *slab, int fd, bool positioned) {
  struct file *file = transport_new(rt, slab, positioned ? &file_kind : &device_kind, sizeof *file);
  if (!file) return NULL;
  file->fd = fd;
  file->loop = rt->loop;
  file->waits = !positioned;
  file->base.on_demand = positioned;
  list_init(&file->queue);
  return &file->base;
}

int transport_file_ask(struct transport *t, enum file_call call, int whence, int64_t offset, file_done *done,
                       void *owner, struct file_request **result) {
  struct file *file = file_of(t);
  size_t extra = call == FILE_STAT ? sizeof(uv_fs_t) : 0;
  struct file_request *request = new_request(file, extra);
  if (!request) return UV_ENOMEM;
  request->length = 0;
  request->call = call;
  request->whence = whence;
  request->offset = offset;
  request->done = done;
  request->owner = owner;
  if (extra) request->stat = (uv_fs_t *)request->bytes;
  *result = request;
  append(file, request);
  return 0;
}

void transport_file_forget(struct file_request *request) {
  if (request) request->done = NULL;
}
