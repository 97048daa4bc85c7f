/* The smallest host: runs a script. Any line of the script may wait; the host needs no loop of its own.
 *
 *     cc smallest.c $(pkg-config --cflags --libs neap) && ./a.out examples/hello.lua */
#include <lua.h>
#include <neap.h>
#include <stdio.h>

int main(int argc, char **argv) {
  neap_t *neap = neap_new(NULL);
  if (!neap || argc < 2) return 1;
  int status = neap_dofile(neap, argv[1]);
  if (status == LUA_ERRRUN) fprintf(stderr, "%s\n", lua_tostring(neap_state(neap), -1));
  neap_free(neap);
  return status == LUA_ERRRUN;
}

// run: smallest examples/hello.lua
// expect: hello
// expect: world
