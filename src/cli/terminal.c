/* While a line is edited, what the process writes to its standard output and error goes through a pipe to a
 * thread, which puts it above the line: it clears the line, writes, and draws the line again. So it is right
 * for whatever writes, children and C code too, and nothing that is written ever waits for the loop. */
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

struct text {
  char *bytes;
  size_t length;
};

/* There is one in a process. */
static struct terminal {
  struct termios found;          /* modes */
  volatile sig_atomic_t changed; /* they are not those */
  int tty;                       /* the terminal, whatever descriptor 1 is */
  int errors;                    /* what descriptor 2 was */
  int pipe[2];
  bool open, editing, relaying;
  pthread_mutex_t lock; /* of what follows, and of writing to [tty] */
  struct text clear;    /* takes the line from the screen */
  struct text shown;    /* puts it back */
} the = {.tty = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static void write_all(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t count = write(the.tty, bytes, length);
    if (count > 0) {
      bytes += count;
      length -= (size_t)count;
    } else if (count < 0 && errno == EAGAIN) {
      struct pollfd wait = {.fd = the.tty, .events = POLLOUT};
      poll(&wait, 1, -1);
    } else if (count < 0 && errno != EINTR) {
      return; /* it is gone */
    }
  }
}

static void write_text(const struct text *text) { write_all(text->bytes, text->length); }

/* --- what others write --- */

static void pass_on(void) {
  char bytes[4096];
  pthread_mutex_lock(&the.lock);
  ssize_t count = read(the.pipe[0], bytes, sizeof bytes);
  if (count > 0) {
    write_text(&the.clear);
    write_all(bytes, (size_t)count);
    if (the.shown.length > 0 && bytes[count - 1] != '\n') write_all("\r\n", 2);
    write_text(&the.shown);
  }
  pthread_mutex_unlock(&the.lock);
}

static void *relay(void *unused) {
  struct pollfd wait = {.fd = the.pipe[0], .events = POLLIN};
  for (;;)
    if (poll(&wait, 1, -1) > 0) pass_on();
  return unused;
}

static bool has_unread(void) {
  int count = 0;
  pthread_mutex_lock(&the.lock);
  ioctl(the.pipe[0], FIONREAD, &count);
  pthread_mutex_unlock(&the.lock);
  return count > 0;
}

/* Signals are for the other threads. */
static bool start_relay(void) {
  pthread_t thread;
  sigset_t all, before;
  if (the.relaying) return true;
  if (pipe2(the.pipe, O_CLOEXEC)) return false;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  the.relaying = pthread_create(&thread, NULL, relay, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (the.relaying) {
    pthread_detach(thread);
  } else {
    close(the.pipe[0]);
    close(the.pipe[1]);
  }
  return the.relaying;
}

/* --- modes --- */

void terminal_restore_modes(void) {
  if (!the.changed) return;
  the.changed = false;
  tcsetattr(STDIN_FILENO, TCSANOW, &the.found);
}

/* Keys come one by one, and none of them is a signal; output is as it was. */
static bool set_modes(void) {
  if (tcgetattr(STDIN_FILENO, &the.found)) return false;
  struct termios modes = the.found;
  modes.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | IXON | ISTRIP | BRKINT);
  modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
  modes.c_cc[VMIN] = 1;
  modes.c_cc[VTIME] = 0;
  the.changed = true;
  if (tcsetattr(STDIN_FILENO, TCSADRAIN, &modes) == 0) return true;
  the.changed = false;
  return false;
}

static void end_editing(void) {
  if (!the.editing) return;
  the.editing = false;
  fflush(stdout);
  if (the.relaying) {
    dup2(the.tty, STDOUT_FILENO);
    dup2(the.errors, STDERR_FILENO);
    while (has_unread()) poll(NULL, 0, 1);
  }
  pthread_mutex_lock(&the.lock);
  the.clear.length = the.shown.length = 0;
  pthread_mutex_unlock(&the.lock);
  terminal_restore_modes();
}

/* --- for Lua --- */

static bool is_usable(void) {
  const char *kind = getenv("TERM");
  return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && kind && *kind && strcmp(kind, "dumb") != 0;
}

/* open(): whether standard input and output are a terminal that can be used so. */
static int l_open(lua_State *L) {
  if (!the.open && is_usable()) {
    the.tty = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    the.errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    the.open = the.tty >= 0 && the.errors >= 0;
    if (the.open) atexit(end_editing);
  }
  lua_pushboolean(L, the.open);
  return 1;
}

/* edit(): a line begins to be edited. false if the terminal is gone. Errors that go elsewhere go on to do so. */
static int l_edit(lua_State *L) {
  if (!the.open || the.editing) return lua_pushboolean(L, the.editing), 1;
  if (!set_modes()) return lua_pushboolean(L, 0), 1;
  fflush(stdout);
  if (start_relay()) {
    dup2(the.pipe[1], STDOUT_FILENO);
    if (isatty(the.errors)) dup2(the.pipe[1], STDERR_FILENO);
  }
  the.editing = true;
  lua_pushboolean(L, 1);
  return 1;
}

/* leave(): the line is done; the terminal is as it was before. */
static int l_leave(lua_State *L) {
  (void)L;
  end_editing();
  return 0;
}

static bool set_text(struct text *text, const char *bytes, size_t length) {
  char *copy = realloc(text->bytes, length + 1);
  if (!copy) return false;
  memcpy(copy, bytes, length);
  *text = (struct text){.bytes = copy, .length = length};
  return true;
}

/* show(shown, clear): writes a drawing of the line in place of the one before; [clear] takes it away. */
static int l_show(lua_State *L) {
  struct text shown, clear;
  shown.bytes = (char *)luaL_checklstring(L, 1, &shown.length);
  clear.bytes = (char *)luaL_checklstring(L, 2, &clear.length);
  pthread_mutex_lock(&the.lock);
  write_text(&the.clear);
  write_text(&shown);
  bool kept = set_text(&the.shown, shown.bytes, shown.length) && set_text(&the.clear, clear.bytes, clear.length);
  pthread_mutex_unlock(&the.lock);
  return kept ? 0 : luaL_error(L, "not enough memory");
}

/* write(text): at the place where the line's drawing left the cursor; that drawing stays on the screen. */
static int l_write(lua_State *L) {
  size_t length;
  const char *bytes = luaL_checklstring(L, 1, &length);
  pthread_mutex_lock(&the.lock);
  the.clear.length = the.shown.length = 0;
  write_all(bytes, length);
  pthread_mutex_unlock(&the.lock);
  return 0;
}

/* size(): columns and rows. */
static int l_size(lua_State *L) {
  struct winsize size = {0};
  ioctl(the.tty, TIOCGWINSZ, &size);
  lua_pushinteger(L, size.ws_col > 0 ? size.ws_col : 80);
  lua_pushinteger(L, size.ws_row > 0 ? size.ws_row : 24);
  return 2;
}

/* read(): the bytes that have come, "" if none have, or nil when nothing ever will. */
static int l_read(lua_State *L) {
  char bytes[4096];
  struct pollfd look = {.fd = STDIN_FILENO, .events = POLLIN};
  if (poll(&look, 1, 0) == 0) return lua_pushliteral(L, ""), 1;
  ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return lua_pushliteral(L, ""), 1;
  if (count <= 0) return lua_pushnil(L), 1;
  lua_pushlstring(L, bytes, (size_t)count);
  return 1;
}

/* suspend(): as Ctrl-Z does where it is a signal; returns when the process goes on. */
static int l_suspend(lua_State *L) {
  (void)L;
  kill(0, SIGTSTP);
  return 0;
}

/* Makes the folders that [path] lies in, for the user alone. */
static void make_folders(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0700);
    *slash = '/';
  }
}

/* save(path, text, whole): adds the text to the file, or replaces it; the file is the user's alone. Returns
 * whether that was done. */
static int l_save(lua_State *L) {
  size_t length;
  char *path = strdup(luaL_checkstring(L, 1));
  const char *bytes = luaL_checklstring(L, 2, &length);
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (lua_toboolean(L, 3) ? O_TRUNC : O_APPEND);
  if (path) make_folders(path);
  int fd = path ? open(path, flags, 0600) : -1;
  bool saved = fd >= 0 && write(fd, bytes, length) == (ssize_t)length;
  if (fd >= 0) close(fd);
  free(path);
  lua_pushboolean(L, saved);
  return 1;
}

static const luaL_Reg functions[] = {
    {"open", l_open}, {"edit", l_edit}, {"leave", l_leave},     {"show", l_show}, {"write", l_write},
    {"size", l_size}, {"read", l_read}, {"suspend", l_suspend}, {"save", l_save}, {NULL, NULL},
};

int terminal_open_library(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
