#include "thread/crossing.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "core/runtime.h"
#include "core/task.h"
#include "thread/copy.h"

/* What lies in a crossing is nobody's by now. */
static void destroy(struct crossing *crossing) {
  message_free(crossing->message);
  crossing->kind->release(crossing->owner);
  port_unref(crossing->port);
  free(crossing);
}

static void run(struct neap *rt, struct post *post) {
  struct crossing *crossing = (struct crossing *)post;
  if (rt) {
    op_complete(rt, crossing->op, crossing->status);
    return;
  }
  free(crossing->op); /* which the runtime has left to what was on its way */
  if (crossing->kind->untaken) crossing->kind->untaken(crossing);
  destroy(crossing);
}

struct crossing *crossing_begin(lua_State *L, const struct op_kind *op_kind,
                                const struct crossing_kind *kind, void *owner, uv_mutex_t *lock) {
  struct crossing_op *op = op_begin(L, op_kind);
  struct neap *rt = op->op.task->future.rt;
  struct crossing *crossing = calloc(1, sizeof *crossing);
  if (!crossing) luaL_error(L, "%s: not enough memory", op_kind->name);
  *crossing = (struct crossing){
      .post.run = run, .kind = kind, .owner = owner, .lock = lock, .port = rt->port, .rt = rt, .op = &op->op};
  list_init(&crossing->link);
  port_ref(rt->port);
  op->crossing = crossing;
  return crossing;
}

void crossing_expect(struct crossing *crossing) {
  if (crossing->expecting) return;
  crossing->expecting = true;
  port_expect(crossing->rt);
}

void crossing_unexpect(struct crossing *crossing) {
  if (crossing->expecting) port_unexpect(crossing->rt);
  crossing->expecting = false;
}

void crossing_give(struct neap *here, struct crossing *crossing, int status) {
  crossing->status = status;
  if (here && crossing->rt == here)
    op_complete(here, crossing->op, status);
  else if (!port_post(crossing->port, &crossing->post))
    run(NULL, &crossing->post);
}

void crossing_give_early(struct crossing *crossing, int status) {
  crossing->status = status;
  op_complete(crossing->rt, crossing->op, status);
}

int crossing_await(lua_State *L, struct crossing *crossing) { return op_await(L, crossing->op, 0); }

/* Still in the list: nobody will give it anything. Or else the post is on its way. */
enum op_abort crossing_abort(struct neap *rt, struct op *op) {
  (void)rt;
  struct crossing *crossing = crossing_of(op);
  uv_mutex_lock(crossing->lock);
  bool waits = !list_empty(&crossing->link);
  list_remove(&crossing->link);
  uv_mutex_unlock(crossing->lock);
  return waits ? OP_GONE : OP_COMING;
}

/* One that waits is not in the list any more: it was aborted. */
void crossing_drop(struct neap *rt, struct op *op) {
  struct crossing *crossing = crossing_of(op);
  if (!crossing) return;
  if (crossing->expecting) port_unexpect(rt);
  if (op->state == OP_DONE && crossing->kind->untaken) crossing->kind->untaken(crossing);
  destroy(crossing);
}
