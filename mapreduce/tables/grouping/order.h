/* The groups in ascending order of their keys: sorted by one byte after the other, the last first.

Keys are packed into one integer where they fit, each with the bits that its values need. */

#include "sums.h"

enum { BYTE_BITS = 8, BYTE_VALUES = 1 << BYTE_BITS, KEY_BITS = 64, AHEAD = 8 };

typedef struct {
    uint64_t key;
    uint32_t group;
} Place;

/* What a key's values are: from the least on, so many bits above it. */
typedef struct {
    int64_t least;
    int bits;
} Span;

static int is_ascending(const Groups *g)
{
    for (uint32_t i = 1; i < g->count; i++) {
        const int64_t *a = cells_of(g, i - 1), *b = cells_of(g, i);
        int k = 0;
        while (k < g->keys - 1 && a[k] == b[k])
            k++;
        if (a[k] > b[k])
            return 0;
    }
    return 1;
}

static void find_spans(const Groups *g, Span *spans)
{
    int64_t most[MAX_COLUMNS];
    for (int k = 0; k < g->keys; k++)
        spans[k].least = most[k] = g->group[k];
    for (uint32_t i = 1; i < g->count; i++)
        for (int k = 0; k < g->keys; k++) {
            int64_t key = cells_of(g, i)[k];
            spans[k].least = key < spans[k].least ? key : spans[k].least;
            most[k] = key > most[k] ? key : most[k];
        }
    for (int k = 0; k < g->keys; k++) {
        uint64_t width = (uint64_t)most[k] - (uint64_t)spans[k].least;
        spans[k].bits = width ? KEY_BITS - __builtin_clzll(width) : 0;
    }
}

/* Pack the keys [first, behind) of each group into one. */
static void pack_keys(const Groups *g, const Span *spans, int first, int behind, Place *places)
{
    for (uint32_t i = 0; i < g->count; i++) {
        const int64_t *keys = cells_of(g, places[i].group);
        uint64_t packed = 0;
        for (int k = first; k < behind; k++) { /* one of all bits is alone */
            packed = spans[k].bits < KEY_BITS ? packed << spans[k].bits : 0;
            packed |= (uint64_t)keys[k] - (uint64_t)spans[k].least;
        }
        places[i].key = packed;
    }
}

/* Sort by one byte of the packed key; places where it is the same stay as they were. */
static void sort_by_byte(const Place *from, Place *to, uint32_t count, int shift)
{
    uint32_t at[BYTE_VALUES] = {0}, before = 0;
    for (uint32_t i = 0; i < count; i++)
        at[from[i].key >> shift & (BYTE_VALUES - 1)]++;
    for (int b = 0; b < BYTE_VALUES; b++) {
        uint32_t here = at[b];
        at[b] = before;
        before += here;
    }
    for (uint32_t i = 0; i < count; i++)
        to[at[from[i].key >> shift & (BYTE_VALUES - 1)]++] = from[i];
}

/* Sort places by their packed keys, of so many bits; give which of the two has them then. */
static Place *sorted(Place *places, Place *other, uint32_t count, int bits)
{
    for (int shift = 0; shift < bits; shift += BYTE_BITS) {
        sort_by_byte(places, other, count, shift);
        Place *swapped = places;
        places = other;
        other = swapped;
    }
    return places;
}

/* Put the groups in order; NULL: there is no memory. Both halves are freed as one, at `all`. */
static Place *ordered(const Groups *g, int ascending, Place **all)
{
    Span spans[MAX_COLUMNS];
    Place *places = *all = malloc(2 * sizeof(Place) * ((size_t)g->count + 1));
    if (!places)
        return NULL;
    for (uint32_t i = 0; i < g->count; i++)
        places[i].group = i;
    if (!ascending || is_ascending(g))
        return places;
    find_spans(g, spans);
    for (int behind = g->keys, first; behind > 0; behind = first) {
        int bits = spans[first = behind - 1].bits;
        while (first > 0 && bits + spans[first - 1].bits <= KEY_BITS)
            bits += spans[--first].bits;
        pack_keys(g, spans, first, behind, places);
        Place *other = places == *all ? places + g->count : *all;
        places = sorted(places, other, g->count, bits);
    }
    return places;
}

/* Write the groups in that order, each result for itself. */
static void write_results(const Groups *g, const Place *places, int64_t **results)
{
    for (uint32_t i = 0; i < g->count; i++) {
        const int64_t *cells = cells_of(g, places[i].group);
        if (i + AHEAD < g->count)
            __builtin_prefetch(cells_of(g, places[i + AHEAD].group));
        for (int r = 0; r < g->results; r++)
            results[r][i] = cells[g->result[r]];
    }
}
