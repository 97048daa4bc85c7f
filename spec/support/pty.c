/* Programs on a terminal of their own, for specs. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { WORDS = 32 };

static void become(const char *terminal, const char **words) {
  setsid();
  int fd = open(terminal, O_RDWR);
  ioctl(fd, TIOCSCTTY, 0);
  for (int i = 0; i < 3; i++) dup2(fd, i);
  for (int i = 3; i < 256; i++) close(i);
  execvp(words[0], (char **)words);
  _exit(127);
}

static void resize(int fd, int columns, int rows) {
  struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
  ioctl(fd, TIOCSWINSZ, &size);
}

/* pty_start(words, columns, rows): the terminal's descriptor and the program's number. */
static int l_start(lua_State *L) {
  const char *words[WORDS + 1] = {0};
  int count = (int)lua_rawlen(L, 1);
  luaL_argcheck(L, count <= WORDS, 1, "too many words");
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, 1, i + 1);
    words[i] = lua_tostring(L, -1);
  }
  int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || grantpt(fd) || unlockpt(fd)) return luaL_error(L, "cannot make a terminal: %s", strerror(errno));
  resize(fd, (int)luaL_checkinteger(L, 2), (int)luaL_checkinteger(L, 3));
  const char *name = ptsname(fd);
  pid_t pid = fork();
  if (pid == 0) become(name, words);
  if (pid < 0) return luaL_error(L, "cannot fork");
  lua_pushinteger(L, fd);
  lua_pushinteger(L, pid);
  return 2;
}

/* pty_read(fd): what the program has written, "" if nothing, nil when nobody has the terminal any more. */
static int l_read(lua_State *L) {
  char bytes[4096];
  ssize_t count = read((int)luaL_checkinteger(L, 1), bytes, sizeof bytes);
  if (count < 0 && errno != EAGAIN && errno != EINTR) return lua_pushnil(L), 1;
  lua_pushlstring(L, bytes, count > 0 ? (size_t)count : 0);
  return 1;
}

/* pty_write(fd, bytes): how many went in. */
static int l_write(lua_State *L) {
  size_t length;
  const char *bytes = luaL_checklstring(L, 2, &length);
  ssize_t count = write((int)luaL_checkinteger(L, 1), bytes, length);
  lua_pushinteger(L, count > 0 ? count : 0);
  return 1;
}

static int l_resize(lua_State *L) {
  resize((int)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2), (int)luaL_checkinteger(L, 3));
  return 0;
}

/* pty_is_cooked(fd): whether lines are edited and echoed by the system, and Ctrl-C is a signal. */
static int l_is_cooked(lua_State *L) {
  struct termios modes;
  tcflag_t flags = ICANON | ECHO | ISIG;
  if (tcgetattr((int)luaL_checkinteger(L, 1), &modes)) return 0;
  lua_pushboolean(L, (modes.c_lflag & flags) == flags && modes.c_iflag & ICRNL);
  return 1;
}

static int l_close(lua_State *L) {
  close((int)luaL_checkinteger(L, 1));
  return 0;
}

/* pty_wait(pid): the exit status once it has ended, 128 and the signal's number if that ended it; or nil. */
static int l_wait(lua_State *L) {
  int status;
  if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, WNOHANG) <= 0) return 0;
  lua_pushinteger(L, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  return 1;
}

/* pair(): the descriptors of a terminal's two ends, which pass bytes on as they are; the second is the terminal. */
static int l_pair(lua_State *L) {
  struct termios modes;
  int near = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (near < 0 || grantpt(near) || unlockpt(near)) return luaL_error(L, "there is no terminal");
  int far = open(ptsname(near), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (far < 0 || tcgetattr(far, &modes)) return luaL_error(L, "there is no terminal");
  cfmakeraw(&modes);
  tcsetattr(far, TCSANOW, &modes);
  lua_pushinteger(L, near);
  lua_pushinteger(L, far);
  return 2;
}

static const luaL_Reg functions[] = {
    {"pair", l_pair},           {"start", l_start},         {"read", l_read},   {"write", l_write}, {"resize", l_resize},
    {"is_cooked", l_is_cooked}, {"close", l_close}, {"wait", l_wait},   {NULL, NULL},
};

__attribute__((visibility("default"))) int luaopen_neap_pty(lua_State *L);

int luaopen_neap_pty(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
