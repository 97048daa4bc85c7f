#include "core/work.h"

#include <stdatomic.h>

#include "core/runtime.h"

/* Calls in the process that may never return. */
static atomic_uint unbounded;

static void run(uv_work_t *req) {
  struct work *work = container_of(req, struct work, req);
  work->run(work);
}

static void after(uv_work_t *req, int status) {
  struct work *work = container_of(req, struct work, req);
  list_remove(&work->link);
  work->done(work, status);
}

int work_submit(struct work *work, struct neap *rt, uv_loop_t *loop) {
  int status = uv_queue_work(loop, &work->req, run, after);
  if (status < 0) return status;
  list_init(&work->link);
  if (!rt) return 0;
  list_append(&rt->works, &work->link);
  rt->pool_used = true;
  return 0;
}

void work_cancel(struct work *work) { uv_cancel((uv_req_t *)&work->req); }

void work_may_block(bool begins) {
  if (begins)
    atomic_fetch_add(&unbounded, 1);
  else
    atomic_fetch_sub(&unbounded, 1);
}

bool work_goes_on(const struct neap *rt) { return !list_empty(&rt->works) && atomic_load(&unbounded) == 0; }

void work_forget_all(struct neap *rt) {
  while (!list_empty(&rt->works)) list_remove(rt->works.next);
}
