/* What is wanted of each record, and the columns it goes into.

A column has a value and a state for each row. The value of a bad one is where in the document it
begins: of what was the same in the record before, the place is that one's. A leaf is read here only where there is no doubt what
it is; where there is, NULL says so. */

#pragma once

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "grammar.h"

#if FLT_EVAL_METHOD != 0
#error "doubles are not rounded at each step here: msgspec reads alone"
#endif

enum { MAX_COLUMNS = 64, MAX_WIDTH = 1 << 16, MAX_STEPS = 256, FIRST_ROOM = 256, PLACE_WIDTH = 8 };
enum Kind { OUTER, RECORDS, OBJECT, INT, FLOAT, TEXT }; /* outer: an object around the list */
enum State { PRESENT, ABSENT, BAD }; /* of a leaf; `fields.py` has them too */

/* What is wanted at one step of a path; columns [low, high) lie at or below it. */
typedef struct Node {
    enum Kind kind;
    int low, high;
    int count;
    struct Member *members; /* of an object; of a list of records the one element, without a key */
} Node;

typedef struct Member {
    const char *key; /* borrowed: whoever makes the plan keeps it */
    ptrdiff_t length;
    Node node;
} Member;

typedef struct {
    Node root;
    int outers, columns; /* how many objects and the list itself are on the way to records */
    ptrdiff_t max_records;
    int allow_nan; /* whether NaN, Infinity and -Infinity are values */
    ptrdiff_t widths[MAX_COLUMNS]; /* bytes of a cell: of a text's too it can hold a place */
    ptrdiff_t longest[MAX_COLUMNS]; /* bytes that a text may have */
} Plan;

/* A value of the record before. An object that is wanted is a step of its own, without a length,
   and so is the end of the record. */
typedef struct {
    At value, behind;
    const Node *wanted; /* NULL: the value is not */
} Step;

typedef struct {
    const Plan *plan;
    Bytes bytes;
    At document;
    At began; /* the record before */
    ptrdiff_t steps;
    Step trace[MAX_STEPS]; /* through it; where it has more steps, the first of them */
    int outers, beside;
    ptrdiff_t rows, room;
    unsigned char *values[MAX_COLUMNS], *states[MAX_COLUMNS];
} Scan;

/* Make room for more rows, in which nothing is there yet. */
static int make_room(Scan *s)
{
    ptrdiff_t room = s->room ? 2 * s->room : FIRST_ROOM;
    if (room > PTRDIFF_MAX / MAX_WIDTH)
        return 0;
    for (int i = 0; i < s->plan->columns; i++) {
        ptrdiff_t width = s->plan->widths[i];
        unsigned char *values = realloc(s->values[i], room * width);
        if (!values)
            return 0;
        s->values[i] = values;
        unsigned char *states = realloc(s->states[i], room);
        if (!states)
            return 0;
        s->states[i] = states;
        memset(values + s->room * width, 0, (room - s->room) * width);
        memset(states + s->room, ABSENT, room - s->room);
    }
    s->room = room;
    return 1;
}

static void free_columns(Scan *s)
{
    for (int i = 0; i < s->plan->columns; i++) {
        free(s->values[i]);
        free(s->states[i]);
    }
}

/* Forget what is at or below a node: of a key given twice the last counts. */
static inline void clear(Scan *s, const Node *node)
{
    for (int i = node->low; i < node->high; i++) {
        ptrdiff_t width = s->plan->widths[i];
        if (s->states[i][s->rows] != ABSENT)
            memset(s->values[i] + s->rows * width, 0, width);
        s->states[i][s->rows] = ABSENT;
    }
}

/* Take what the record before had at a step. */
static inline void repeat(Scan *s, const Node *node)
{
    if (node->kind == OBJECT) {
        clear(s, node);
        return;
    }
    ptrdiff_t width = node->kind == TEXT ? s->plan->widths[node->low] : 8;
    unsigned char *to = s->values[node->low] + s->rows * width;
    memcpy(to, to - width, width);
    s->states[node->low][s->rows] = s->states[node->low][s->rows - 1];
}

static inline At put_int(Scan *s, int column, int64_t number, enum State state, At behind)
{
    ((int64_t *)s->values[column])[s->rows] = number;
    s->states[column][s->rows] = state;
    return behind;
}

static inline At put_float(Scan *s, int column, double number, enum State state, At behind)
{
    ((double *)s->values[column])[s->rows] = number;
    s->states[column][s->rows] = state;
    return behind;
}

/* A bad value: the first bytes of its cell say where it begins. */
static At put_bad(Scan *s, int column, At from, At behind)
{
    int64_t place = from - s->document;
    ptrdiff_t width = s->plan->widths[column];
    unsigned char *to = s->values[column] + s->rows * width;
    memset(to, 0, width);
    memcpy(to, &place, sizeof place);
    s->states[column][s->rows] = BAD;
    return behind;
}

static inline At put_text(Scan *s, int column, At from, ptrdiff_t length, enum State state,
                          At behind)
{
    ptrdiff_t width = s->plan->widths[column];
    unsigned char *to = s->values[column] + s->rows * width;
    if (length > s->plan->longest[column])
        return put_bad(s, column, from - 1, behind);
    memcpy(to, from, length);
    memset(to + length, 0, width - length);
    s->states[column][s->rows] = state;
    return behind;
}

/* An integer, or a text that is `-?[0-9]+`; up to 18 digits always fit. */
static At integer(Scan *s, At p, int column)
{
    if (*p == 'n')
        return put_int(s, column, 0, ABSENT, literal(p, "null"));
    int quoted = *p == '"', escaped = 0;
    At from = p + quoted, behind = quoted ? text(&s->bytes, from, &escaped) : number(&s->bytes, p);
    if (!behind || escaped)
        return NULL;
    At to = behind - quoted;
    int negative = *from == '-';
    At first = from + negative;
    int64_t number = 0;
    for (p = first; p < to && is_digit(*p); p++)
        number = p - first < 18 ? number * 10 + (*p - '0') : 0;
    if (p < to || p == first) /* not digits alone */
        return quoted ? put_bad(s, column, from - 1, behind) : NULL;
    if (p - first > 18)
        return NULL;
    return put_int(s, column, negative ? -number : number, PRESENT, behind);
}

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { EXACT_POWERS = 22 };

/* number * 10**-places, rounded once, half to even; NAN where it can't be. Powers of ten to 10**22
   and integers to 2**53 are exact doubles, so one product or quotient of them is rounded once
   (W. D. Clinger, How to read floating point numbers accurately, 1990). */
static double scaled(uint64_t number, int places)
{
    if (number <= UINT64_C(1) << 53 && abs(places) <= EXACT_POWERS)
        return places < 0 ? (double)number * POWERS[-places] : (double)number / POWERS[places];
#ifdef __SIZEOF_INT128__
    if (number && places > 0 && places <= 19) { /* a long division, with a bit for the remainder */
        uint64_t power = 1;
        for (int i = 0; i < places; i++)
            power *= 10;
        int up = __builtin_clzll(number), down = __builtin_clzll(power);
        unsigned __int128 over = (unsigned __int128)(number << up) << 63;
        uint64_t quotient = over / (power << down);
        uint64_t lost = over % (power << down) != 0;
        int spare = 64 - __builtin_clzll(quotient) - 53; /* bits beyond a double's, always some */
        uint64_t rest = quotient & ((UINT64_C(1) << spare) - 1), half = UINT64_C(1) << (spare - 1);
        uint64_t kept = quotient >> spare;
        kept += rest > half || (rest == half && (lost || (kept & 1)));
        return ldexp((double)kept, spare + down - up - 63);
    }
#endif
    return NAN;
}

static At real(Scan *s, At p, int column)
{
    if (*p == 'n')
        return put_float(s, column, NAN, ABSENT, literal(p, "null"));
    At behind = number(&s->bytes, p);
    if (!behind)
        return NULL;
    int negative = *p == '-', places = 0, whole = 1, seen = 0;
    uint64_t number = 0;
    for (p += negative; p < behind && (*p | 0x20) != 'e'; p++) {
        if (*p == '.') {
            whole = 0;
            continue;
        }
        number = number * 10 + (*p - '0');
        places += !whole;
        seen += number != 0;
        if (seen > 19 - whole || places > 64) /* 19 digits fit; an int64 has 18 for sure */
            return NULL;
    }
    if (p < behind) {
        int minus = *++p == '-', exponent = 0;
        for (p += minus || *p == '+'; p < behind; p++)
            if ((exponent = exponent * 10 + (*p - '0')) > 99)
                return NULL;
        places += minus ? exponent : -exponent;
        whole = 0;
    }
    if (whole)
        return put_float(s, column, (double)(negative ? -(int64_t)number : (int64_t)number),
                         PRESENT, behind);
    double size = number ? scaled(number, places) : 0.0;
    if (isnan(size))
        return NULL;
    return put_float(s, column, negative ? -size : size, PRESENT, behind);
}

static At words(Scan *s, At p, int column)
{
    if (*p == 'n')
        return put_text(s, column, p, 0, ABSENT, literal(p, "null"));
    int escaped = 0;
    At from = p + 1;
    if (*p != '"' || !(p = text(&s->bytes, from, &escaped)) || escaped)
        return NULL;
    return put_text(s, column, from, p - 1 - from, PRESENT, p);
}

