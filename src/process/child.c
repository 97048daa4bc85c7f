#include "process/child.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum {
  RELEASE_GRACE_S = 5,
  REAP_LIMIT_NS = 2000000000, /* one that a broken device holds is left behind */
  REAP_PAUSE_NS = 50000,
  REAP_PAUSE_MAX_NS = 5000000,
};

static void let_go(struct child *child) {
  if (--child->holders == 0) memory_free(child);
}

static void on_closed(uv_handle_t *handle) {
  struct child *child = handle->data;
  if (--child->handles == 0) let_go(child);
}

static void close_handles(struct child *child) {
  list_remove(&child->resource.link);
  uv_close((uv_handle_t *)&child->process, on_closed);
  if (child->timed) uv_close((uv_handle_t *)&child->grace, on_closed);
}

static int deliver(const struct child *child, int number) {
  int pid = child->group ? -child->pid : child->pid;
  return kill(pid, number) == 0 ? 0 : uv_translate_sys_error(errno);
}

void child_end_group(struct child *child) {
  if (child->group && child->state == CHILD_ENDED) deliver(child, SIGKILL);
}

static void on_exited(uv_process_t *process, int64_t status, int signal_number) {
  struct child *child = (struct child *)process;
  child->state = CHILD_ENDED;
  child->returncode = signal_number ? -signal_number : (int)status;
  if (child->ending) child_end_group(child);
  close_handles(child);
  if (child->owner) child->ended(child->owner);
}

/* --- the runtime's end --- */

static int64_t pause_for(int64_t ns) {
  nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
  return ns < REAP_PAUSE_MAX_NS ? ns * 2 : ns;
}

/* The loop may not be ours to run: it is waited for here. */
static void reap(struct child *child) {
  int status = 0, pid;
  int64_t limit = (int64_t)uv_hrtime() + REAP_LIMIT_NS, pause = REAP_PAUSE_NS;
  while ((pid = waitpid(child->pid, &status, WNOHANG)) == 0 || (pid < 0 && errno == EINTR)) {
    if ((int64_t)uv_hrtime() > limit) break;
    pause = pause_for(pause);
  }
  child->state = CHILD_ENDED;
  child->returncode = pid < 0 || !WIFEXITED(status) ? -SIGKILL : WEXITSTATUS(status);
}

static void close_resource(struct neap *rt, struct resource *resource) {
  struct child *child = container_of(resource, struct child, resource);
  (void)rt;
  child->state = CHILD_LEFT;
  if (!child->detached) {
    deliver(child, SIGKILL);
    reap(child);
  }
  close_handles(child);
}

/* --- its life --- */

static struct child *make(struct neap *rt, bool group, bool detached) {
  struct child *child = memory_calloc(rt->memory, 1, sizeof *child);
  if (!child) return NULL;
  child->rt = rt;
  child->group = group;
  child->detached = detached;
  child->holders = 2;
  child->handles = 1;
  child->resource.close = close_resource;
  list_append(&rt->resources, &child->resource.link);
  return child;
}

/* After a failure, too, there is a handle to be closed. */
int child_spawn(struct child **result, struct neap *rt, uv_process_options_t *options, bool group,
                bool detached) {
  struct child *child = make(rt, group, detached);
  if (!child) return UV_ENOMEM;
  options->exit_cb = on_exited;
  if (group || detached) options->flags |= UV_PROCESS_DETACHED;
  int status = uv_spawn(rt->loop, &child->process, options);
  child->process.data = child;
  child->pid = child->process.pid;
  if (status < 0) {
    child->state = CHILD_ENDED;
    close_handles(child);
    let_go(child);
    return status;
  }
  uv_unref((uv_handle_t *)&child->process);
  *result = child;
  return 0;
}

void child_own(struct child *child, void (*ended)(void *owner), void *owner) {
  child->ended = ended;
  child->owner = owner;
}

void child_release(struct child *child) {
  child->owner = NULL;
  if (!child->detached) child_end(child, RELEASE_GRACE_S);
  let_go(child);
}

void child_hold(struct child *child, bool hold) {
  if (child->state != CHILD_RUNS || child->ending) return;
  if (hold)
    uv_ref((uv_handle_t *)&child->process);
  else
    uv_unref((uv_handle_t *)&child->process);
}

int child_signal(struct child *child, int number) {
  return child->state == CHILD_RUNS ? deliver(child, number) : UV_ESRCH;
}

static void on_grace(uv_timer_t *timer) { child_signal(timer->data, SIGKILL); }

/* The child lives in real time, whatever the loop's clock does. */
static void start_grace(struct child *child, double seconds) {
  uv_timer_init(child->rt->loop, &child->grace);
  child->grace.data = child;
  child->timed = true;
  child->handles++;
  uv_unref((uv_handle_t *)&child->grace);
  uv_update_time(child->rt->loop);
  uv_timer_start(&child->grace, on_grace, (uint64_t)(seconds * 1000), 0);
}

/* A stopped one cannot see that it is to end. The loop stays alive for what is sure to come. */
void child_end(struct child *child, double grace) {
  if (child->state != CHILD_RUNS || child->ending) return;
  child_hold(child, true);
  child->ending = true;
  if (grace <= 0) {
    deliver(child, SIGKILL);
    return;
  }
  deliver(child, SIGTERM);
  deliver(child, SIGCONT);
  start_grace(child, grace);
}
