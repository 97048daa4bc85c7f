/* A program around poll(2), with descriptors of its own: the runtime is one more of them, and one more time
 * limit. With epoll, kqueue or select it is just the same. */
#include <lauxlib.h>
#include <lua.h>
#include <neap.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static const char script[] =
    "local neap = require 'neap'\n"
    "for i = 1, 3 do\n"
    "  neap.sleep(0.01)\n"
    "  send('message ' .. i)\n"
    "end\n";

static int mail[2]; /* a pipe: a descriptor of the program's own, to be polled with the runtime's */

/* send(text) */
static int l_send(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  return lua_pushboolean(L, write(mail[1], text, length) == (ssize_t)length), 1;
}

static void read_mail(void) {
  char text[100];
  ssize_t length = read(mail[0], text, sizeof text);
  if (length > 0) printf("the program got: %.*s\n", (int)length, text);
}

/* Waits until the runtime or the program has something to do. */
static void wait_for_either(neap_t *neap) {
  struct pollfd fds[] = {{.fd = neap_fd(neap), .events = POLLIN}, {.fd = mail[0], .events = POLLIN}};
  poll(fds, 2, neap_timeout(neap));
  if (fds[1].revents) read_mail();
}

int main(void) {
  neap_t *neap = neap_new(NULL);
  if (!neap || pipe(mail)) return 1;
  lua_State *L = neap_state(neap);
  lua_register(L, "send", l_send);
  if (luaL_loadstring(L, script) != LUA_OK || !neap_spawn(L, 0, NULL, NULL)) return 1;

  neap_status status;
  while ((status = neap_step(neap, 0.01)) == NEAP_READY || status == NEAP_WAITING)
    wait_for_either(neap); /* when the runtime is ready its time limit is 0 */

  read_mail();
  puts(status == NEAP_DONE ? "no task is left" : "something went wrong");
  neap_free(neap);
  close(mail[0]), close(mail[1]);
  return 0;
}

// run: poll
// expect: the program got: message 1
// expect: the program got: message 2
// expect: the program got: message 3
// expect: no task is left
