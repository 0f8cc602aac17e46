/* One pass over a plain JSON document, straight into columns.

It never judges. A document it accepts msgspec accepts too, with the same columns; at anything out
of the ordinary (an escape in a wanted text, a wanted number it can't round exactly, a key given
twice on the way to the list, deep nesting, any fault) it gives up, and msgspec reads and judges. */

#include "columns.h"

enum { MAX_DEPTH = 100 };

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
    case RECORDS:
        s->outers++;
        return *p == '[' ? list(s, p + 1, &node->members[0].node, depth + 1) : NULL;
    default: /* an object */
        if (node->outer)
            s->outers++;
        else
            clear(s, node);
        if (*p == '{')
            return object(s, p + 1, node, depth + 1);
        return node->outer ? NULL : literal(p, "null");
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

static At object(Scan *s, At p, const Node *node, int depth) /* behind the opening brace */
{
    if (depth > MAX_DEPTH)
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
    if (depth > MAX_DEPTH)
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

