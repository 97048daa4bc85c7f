#include "io/reader.h"

#include <ctype.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int reader_append(struct reader *r, const char *bytes, size_t length) {
  return reader_keep(r) || buffer_append(&r->kept, bytes, length) ? -1 : 0;
}

void reader_lend(struct reader *r, const char *bytes, size_t length) {
  r->lent = bytes;
  r->lent_length = length;
}

int reader_keep(struct reader *r) {
  size_t length = r->lent_length;
  r->lent_length = 0;
  return buffer_append(&r->kept, r->lent, length);
}

void reader_consume(struct reader *r, size_t length) {
  if (r->lent_length == 0) {
    buffer_consume(&r->kept, length);
  } else {
    r->lent += length;
    r->lent_length -= length;
  }
}

void reader_free(struct reader *r) {
  r->lent_length = 0;
  buffer_free(&r->kept);
}

/* --- answers --- */

struct bytes {
  const char *at;
  size_t length;
  size_t limit;
  bool ended;
};

static enum answer value(struct span *span, size_t length, size_t taken) {
  *span = (struct span){0, length, taken};
  return ANSWER_VALUE;
}

static enum answer overrun(struct span *span, size_t taken) {
  *span = (struct span){.taken = taken};
  return ANSWER_OVERRUN;
}

static enum answer at_end(struct bytes b, struct span *span) {
  if (!b.ended) return ANSWER_WAIT;
  return b.length > 0 ? value(span, b.length, b.length) : ANSWER_NOTHING;
}

/* --- lines --- */

static enum answer find_line(struct bytes b, bool keep, size_t *scanned, struct span *span) {
  const char *newline = NULL;
  if (b.length > *scanned) newline = memchr(b.at + *scanned, '\n', b.length - *scanned);
  size_t length = newline ? (size_t)(newline - b.at) : b.length;
  *scanned = length;
  if (length > b.limit) return overrun(span, length);
  if (newline) return value(span, length + keep, length + 1);
  return at_end(b, span);
}

/* --- separators --- */

/* Where the first [separator] begins, or SIZE_MAX. */
static size_t find(struct bytes b, const struct separator *separator, size_t scanned) {
  size_t from = scanned >= separator->length ? scanned - separator->length + 1 : 0;
  if (b.length < from + separator->length) return SIZE_MAX;
  const char *found = memmem(b.at + from, b.length - from, separator->bytes, separator->length);
  return found ? (size_t)(found - b.at) : SIZE_MAX;
}

/* The match that ends first wins. */
static enum answer find_separator(struct bytes b, const struct request *request, size_t *scanned,
                                  struct span *span) {
  const struct separator *separators = request->many ? request->many : &request->one;
  size_t start = SIZE_MAX, end = SIZE_MAX, longest = 0;
  for (size_t i = 0; i < request->count; i++) {
    size_t length = separators[i].length;
    size_t found = find(b, &separators[i], *scanned);
    if (length > longest) longest = length;
    if (found == SIZE_MAX || found + length >= end) continue;
    start = found;
    end = found + length;
  }
  if (end == SIZE_MAX) {
    *scanned = b.length;
    size_t without = b.length + 1 > longest ? b.length + 1 - longest : 0;
    if (without > b.limit) return overrun(span, without);
    if (!b.ended) return ANSWER_WAIT;
    *span = (struct span){0, b.length, b.length};
    return ANSWER_SHORT;
  }
  return start > b.limit ? overrun(span, start) : value(span, end, end);
}

/* --- counts --- */

static enum answer count_bytes(struct bytes b, const struct request *request, struct span *span) {
  size_t count = request->count;
  switch (request->kind) {
    case REQUEST_SOME:
      if (b.length == 0) return b.ended ? ANSWER_NOTHING : ANSWER_WAIT;
      if (count > b.length) count = b.length;
      return value(span, count, count);
    case REQUEST_EXACTLY:
      if (b.length >= count) return value(span, count, count);
      *span = (struct span){0, b.length, b.length};
      return b.ended ? ANSWER_SHORT : ANSWER_WAIT;
    case REQUEST_ALL:
      return b.ended ? value(span, b.length, b.length) : ANSWER_WAIT;
    default:
      if (b.length >= count && b.length > 0) return value(span, count, count);
      return at_end(b, span);
  }
}

/* --- numbers, as liolib.c reads them --- */

struct numeral {
  const char *at;
  const char *end;
  size_t length;
  bool starved; /* wanted a byte behind the last one */
  bool too_long;
};

static int peek(struct numeral *n) {
  if (n->at < n->end) return (unsigned char)*n->at;
  n->starved = true;
  return EOF;
}

static bool take(struct numeral *n) {
  if (n->length >= NUMERAL_MAX) {
    n->too_long = true;
    return false;
  }
  n->length++;
  n->at++;
  return true;
}

static bool take_either(struct numeral *n, char one, char other) {
  int c = peek(n);
  return (c == (unsigned char)one || c == (unsigned char)other) && take(n);
}

static int take_digits(struct numeral *n, bool hex) {
  int count = 0;
  while ((hex ? isxdigit(peek(n)) : isdigit(peek(n))) && take(n)) count++;
  return count;
}

/* Goes over the longest prefix that looks like a numeral. Returns whether it is one. */
static bool take_numeral(struct numeral *n) {
  bool hex = false;
  int count = 0;
  take_either(n, '-', '+');
  if (take_either(n, '0', '0')) {
    hex = take_either(n, 'x', 'X');
    if (!hex) count = 1;
  }
  count += take_digits(n, hex);
  if (take_either(n, '.', *localeconv()->decimal_point)) count += take_digits(n, hex);
  if (count == 0) return false;
  if (!take_either(n, hex ? 'p' : 'e', hex ? 'P' : 'E')) return true;
  take_either(n, '-', '+');
  return take_digits(n, false) > 0;
}

static enum answer find_number(struct bytes b, struct span *span) {
  struct numeral n = {.at = b.at, .end = b.at + b.length};
  while (isspace(peek(&n))) n.at++;
  size_t start = (size_t)(n.at - b.at);
  bool valid = take_numeral(&n) && !n.too_long;
  *span = (struct span){start, n.length, start + n.length};
  if (n.starved && !n.too_long && !b.ended)
    return start > b.limit ? overrun(span, start) : ANSWER_WAIT;
  return valid ? ANSWER_VALUE : ANSWER_NOTHING;
}

/* --- all together --- */

enum answer reader_answer(const struct reader *reader, size_t offset, const struct request *request,
                          size_t *scanned, struct span *span) {
  struct bytes b = {reader_bytes(reader) + offset, reader_length(reader) - offset, reader->limit,
                    reader->ended};
  *span = (struct span){0};
  switch (request->kind) {
    case REQUEST_LINE:
    case REQUEST_LINE_KEPT:
      return find_line(b, request->kind == REQUEST_LINE_KEPT, scanned, span);
    case REQUEST_UNTIL:
      return find_separator(b, request, scanned, span);
    case REQUEST_NUMBER:
      return find_number(b, span);
    default:
      return count_bytes(b, request, span);
  }
}

bool reader_is_ready(const struct reader *reader, struct reading *reading) {
  if (reading->requests->kind == REQUEST_SOME) return reader->ended || reader_length(reader) > 0;
  while (reading->answered < reading->count) {
    struct span span;
    const struct request *request = &reading->requests[reading->answered];
    enum answer answer = reader_answer(reader, reading->offset, request, &reading->scanned, &span);
    if (answer == ANSWER_WAIT) return false;
    if (answer != ANSWER_VALUE) return true;
    reading->offset += span.taken;
    reading->scanned = 0;
    reading->answered++;
  }
  return true;
}
