/* One pass over a plain JSON document, straight into columns.

It never judges. A document it accepts msgspec accepts too, with the same columns; at anything out
of the ordinary (an escape in a wanted text, a wanted number it can't round exactly, a key given
twice on the way to the list, deep nesting, any fault) it gives up, and msgspec reads and judges.

Most records have the shape of the one before, and many of its values. So the steps from value to
value are kept, and tried on the next record: only values that differ are read. Where anything else
differs (brackets, keys, space) the record is read anew, from its start. */

#include "columns.h"

enum { MAX_DEPTH = 100, MAX_BESIDE = 1 << 16 }; /* beside the list: as `structure.py` has it */

static At object(Scan *s, At p, const Node *node, int depth);
static At list(Scan *s, At p, const Node *element, int depth);

static inline const Node *member(const Node *node, At key, ptrdiff_t length)
{
    for (int i = 0; i < node->count; i++) {
        const Member *one = &node->members[i];
        if (one->length == length && !memcmp(one->key, key, length))
            return &one->node;
    }
    return NULL;
}

/* Read a key and its colon; give the place of the value. */
static inline At key(Scan *s, At p, const Node *node, const Node **wanted)
{
    int escaped = 0;
    At from = p;
    if (*p != '"' || !(p = text(&s->bytes, p + 1, &escaped)) || (node && escaped))
        return NULL;
    *wanted = node ? member(node, from + 1, p - from - 2) : NULL;
    p = space(p);
    return *p == ':' ? space(p + 1) : NULL;
}

/* Read a value that is no object or list, and as JSON has it. */
static inline At json_scalar(Scan *s, At p, const Node *wanted)
{
    int ignored = 0;
    if (wanted)
        return wanted->kind == INT     ? integer(s, p, wanted->low)
               : wanted->kind == FLOAT ? real(s, p, wanted->low)
                                       : words(s, p, wanted->low);
    switch (*p) {
    case '"':
        return text(&s->bytes, p + 1, &ignored);
    case 't':
        return literal(p, "true");
    case 'f':
        return literal(p, "false");
    case 'n':
        return literal(p, "null");
    default:
        return number(&s->bytes, p);
    }
}

/* Read a value that is no object or list. */
static inline At scalar(Scan *s, At p, const Node *wanted)
{
    At behind = json_scalar(s, p, wanted);
    if (behind || !s->plan->allow_nan)
        return behind;
    behind = not_finite(p);
    return behind && wanted ? put_bad(s, wanted->low, p, behind) : behind;
}

static inline At step(Scan *s, At value, At behind, const Node *wanted)
{
    if (s->steps < MAX_STEPS)
        s->trace[s->steps] = (Step){value, behind, wanted};
    s->steps++;
    return behind;
}

static inline At value(Scan *s, At p, const Node *wanted, int depth)
{
    if (!wanted && *p == '{')
        return object(s, p + 1, NULL, depth + 1);
    if (!wanted && *p == '[')
        return list(s, p + 1, NULL, depth + 1);
    if (!wanted || wanted->kind >= INT) {
        At behind = scalar(s, p, wanted);
        return behind ? step(s, p, behind, wanted) : NULL;
    }
    switch (wanted->kind) {
    case OBJECT:
        clear(s, wanted);
        step(s, p, p, wanted);
        return *p == '{' ? object(s, p + 1, wanted, depth + 1) : literal(p, "null");
    case OUTER: /* each once: as many were seen as are around it */
        return *p == '{' && s->outers++ == depth ? object(s, p + 1, wanted, depth + 1) : NULL;
    default: /* the list of records */
        return *p == '[' && s->outers++ == depth ? list(s, p + 1, &wanted->members->node, depth + 1)
                                                 : NULL;
    }
}

/* Whether a bracket may open: not too deep, nor one of too many at the list's own depth. */
static inline int may_open(Scan *s, int depth)
{
    return depth <= MAX_DEPTH && (depth != s->plan->outers || s->beside++ < MAX_BESIDE);
}

static At object(Scan *s, At p, const Node *node, int depth) /* behind the opening brace */
{
    if (!may_open(s, depth))
        return NULL;
    p = space(p);
    if (*p == '}')
        return p + 1;
    for (;;) {
        const Node *wanted;
        if (!(p = key(s, p, node, &wanted)) || !(p = value(s, p, wanted, depth)))
            return NULL;
        p = space(p);
        if (*p != ',')
            return *p == '}' ? p + 1 : NULL;
        p = space(p + 1);
    }
}

/* Read a record along the steps of the one before; NULL where its shape is another. What was put
   into columns by then is put there again by `anew`: it comes by the same keys. */
static At again(Scan *s, At p)
{
    if (!s->rows || s->steps > MAX_STEPS)
        return NULL;
    Step *step = s->trace, *last = step + s->steps - 1;
    At before = s->began; /* where `p` was in it */
    s->began = p;
    for (;;) {
        ptrdiff_t on = p - before;
        At differs = before + alike(&s->bytes, p, before, last->behind + 1 - before);
        for (; step->behind < differs; step++) { /* not up to it: a number may go on there */
            step->value += on;
            step->behind += on;
            if (step == last)
                return step->behind;
            if (step->wanted)
                repeat(s, step->wanted);
        }
        if (differs < step->value || step->value == step->behind)
            return NULL;
        before = step->behind;
        step->value += on;
        step->behind = p = scalar(s, step->value, step->wanted);
        if (!p)
            return NULL;
        step++;
    }
}

static At anew(Scan *s, At p, const Node *node, int depth)
{
    s->began = p;
    s->steps = 0;
    p = *p == '{' ? object(s, p + 1, node, depth + 1) : NULL;
    return p ? step(s, p, p, NULL) : NULL;
}

static At record(Scan *s, At p, const Node *node, int depth)
{
    if (s->rows == s->plan->max_records || (s->rows == s->room && !make_room(s)))
        return NULL;
    At behind = again(s, p);
    if (!behind)
        behind = anew(s, p, node, depth);
    s->rows++;
    return behind;
}

static At list(Scan *s, At p, const Node *element, int depth) /* behind the opening bracket */
{
    if (!may_open(s, depth))
        return NULL;
    p = space(p);
    if (*p == ']')
        return p + 1;
    for (;;) {
        p = element ? record(s, p, element, depth) : value(s, p, NULL, depth);
        if (!p)
            return NULL;
        p = space(p);
        if (*p != ',')
            return *p == ']' ? p + 1 : NULL;
        p = space(p + 1);
    }
}

static int scan_document(Scan *s, At p)
{
    p = value(s, space(p), &s->plan->root, 0);
    return p && space(p) == s->bytes.end && s->outers == s->plan->outers;
}
