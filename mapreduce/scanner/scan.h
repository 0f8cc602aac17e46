/* One pass over a plain JSON document, straight into columns.

It never judges. A document it accepts msgspec accepts too, with the same columns; at anything out
of the ordinary (an escape in a wanted text, a wanted number it can't round exactly, a key given
twice on the way to the list, deep nesting, any fault) it gives up, and msgspec reads and judges. */

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
    Key *last = &s->keys[s->key < MAX_KEYS ? s->key++ : MAX_KEYS - 1];
    if (last->node == node && last->length && is_same(&s->bytes, p, last->from, last->length)) {
        *wanted = last->wanted;
        return space(p + last->length);
    }
    int escaped = 0;
    At from = p;
    if (*p != '"' || !(p = text(&s->bytes, p + 1, &escaped)) || (node && escaped))
        return NULL;
    *wanted = node ? member(node, from + 1, p - from - 2) : NULL;
    p = space(p);
    if (*p != ':')
        return NULL;
    p = space(p + 1);
    *last = (Key){from, p - from, node, *wanted};
    return p;
}

static inline At wanted_value(Scan *s, At p, const Node *node, int depth)
{
    switch (node->kind) {
    case INT:
        return integer(s, p, node->low);
    case FLOAT:
        return real(s, p, node->low);
    case TEXT:
        return words(s, p, node->low);
    case OBJECT:
        clear(s, node);
        return *p == '{' ? object(s, p + 1, node, depth + 1) : literal(p, "null");
    case OUTER: /* each once: as many were seen as are around it */
        return *p == '{' && s->outers++ == depth ? object(s, p + 1, node, depth + 1) : NULL;
    default: /* the list of records */
        return *p == '[' && s->outers++ == depth ? list(s, p + 1, &node->members->node, depth + 1)
                                                 : NULL;
    }
}

static inline At value(Scan *s, At p, const Node *wanted, int depth)
{
    int ignored = 0;
    if (wanted)
        return wanted_value(s, p, wanted, depth);
    switch (*p) {
    case '"':
        return text(&s->bytes, p + 1, &ignored);
    case '{':
        return object(s, p + 1, NULL, depth + 1);
    case '[':
        return list(s, p + 1, NULL, depth + 1);
    case 't':
        return literal(p, "true");
    case 'f':
        return literal(p, "false");
    case 'n':
        return literal(p, "null");
    default:
        return number(p);
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

static At record(Scan *s, At p, const Node *node, int depth)
{
    if (*p != '{' || s->rows == s->plan->max_records || (s->rows == s->room && !make_room(s)))
        return NULL;
    clear(s, node);
    s->key = 0;
    p = object(s, p + 1, node, depth + 1);
    s->rows++;
    return p;
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

