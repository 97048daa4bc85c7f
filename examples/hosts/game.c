/* A game: 60 frames a second, of which the scripts get two milliseconds. Each of its 300 sheep is a task, whose
 * code reads from top to bottom although it takes many frames. What takes longer than a frame's share goes on
 * in the next frame.
 *
 * wait_frames(n) is a function of the game's own that scripts can await: an operation in a list, which the
 * frame loop completes. */
#include <lauxlib.h>
#include <lua.h>
#include <neap.h>
#include <stdio.h>

static const char script[] =
    "local neap = require 'neap'\n"
    "local home = 0\n"
    "local function sheep(number)\n"
    "  local x = 0\n"
    "  while x < 10 do\n"
    "    wait_frames(1 + number % 3)\n"
    "    x = x + 1 + number % 3\n"
    "  end\n"
    "  home = home + 1\n"
    "end\n"
    "local flock = {}\n"
    "for number = 1, 300 do flock[number] = neap.create_task(sheep, number) end\n"
    "neap.gather(flock)\n"
    "print(home .. ' sheep are home')\n";

/* --- wait_frames(n) --- */

struct wait {
  neap_op op; /* must be first */
  struct wait *next;
  long frame; /* the one that is waited for */
};

static struct wait *waits;
static long frame;

/* The task is cancelled: its operation must not be completed any more. */
static neap_cancelled forget_wait(neap_op *op) {
  struct wait **place = &waits;
  while (*place != (struct wait *)op) place = &(*place)->next;
  *place = (*place)->next;
  return NEAP_GONE;
}

static const neap_op_kind wait_kind = {.name = "wait_frames", .size = sizeof(struct wait), .cancel = forget_wait};

static int l_wait_frames(lua_State *L) {
  lua_Integer frames = luaL_checkinteger(L, 1);
  struct wait *wait = neap_begin(L, &wait_kind);
  wait->frame = frame + (long)frames;
  wait->next = waits;
  waits = wait;
  return neap_await(L, &wait->op, 0);
}

static void complete_waits(void) {
  struct wait **place = &waits;
  while (*place) {
    struct wait *wait = *place;
    if (wait->frame > frame) {
      place = &wait->next;
    } else {
      *place = wait->next;
      neap_complete(&wait->op, 0);
    }
  }
}

/* --- the frame loop --- */

int main(void) {
  neap_t *neap = neap_new(NULL);
  if (!neap) return 1;
  lua_State *L = neap_state(neap);
  lua_register(L, "wait_frames", l_wait_frames);
  if (luaL_loadstring(L, script) != LUA_OK || !neap_spawn(L, 0, NULL, NULL)) return 1;

  neap_status status;
  do {
    frame++;
    complete_waits();
    status = neap_step(neap, 0.002);
    uv_sleep(16); /* the game draws itself */
  } while (status == NEAP_READY || status == NEAP_WAITING);

  puts(frame >= 12 ? "after a dozen frames or more" : "too soon");
  neap_free(neap);
  return 0;
}

// run: game
// expect: 300 sheep are home
// expect: after a dozen frames or more
