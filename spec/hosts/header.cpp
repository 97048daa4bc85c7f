/* The header alone, as C and as C++. */
#include "neap.h"

static int push(lua_State *L, neap_op *op) {
  (void)op;
  return neap_fail(L, UV_EIO, "push", NULL);
}

int use(neap_t *neap);

int use(neap_t *neap) {
  static neap_config config;
  neap_op_kind kind = {"kind", sizeof(neap_op), push, NULL, NULL};
  (void)config, (void)kind;
  return neap_run(neap) == NEAP_DONE ? 0 : 1;
}
