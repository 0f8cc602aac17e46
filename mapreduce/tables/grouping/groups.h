/* Groups of rows with equal keys: found in a hash table, filled column by column.

Rows are looked at a chunk at a time: where in it runs of equal keys begin, which group each run
belongs to, then each column by itself. So memory grows with the groups, never with the rows. Where
a sum passes int64 on its way, or many keys come to one place of the table, it gives up: then numpy
sorts and sums, and judges. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 64, MAX_CELLS = 3 * MAX_COLUMNS, LIMB_BITS = 32 };
enum { CHUNK_ROWS = 1024, FIRST_ROOM = 64, MAX_PROBES = 1 << 10 };
#define MOST_ROWS INT32_MAX /* so that no sum of limbs can pass int64 */
#define LIMB_MASK 0xffffffff

/* How values of one group become one. A wide sum has two limbs, which stored are two columns: the
   low one carries into the high one before it. Distinct counts how often a value is another than
   the one before it in its group. */
enum Rule { SUM, MIN, MAX, WIDE, HIGH, LOW, DISTINCT };

typedef struct Column {
    enum Rule rule;
    const int64_t *values; /* NULL: each row has `constant` */
    int64_t constant;
    int cell; /* its first of a group; a wide sum has the high limb there, then the low one */
    const struct Column *next; /* of the same values, and filled together with it */
    int is_next;
} Column;

typedef struct {
    int keys, columns, cells, results;
    const int64_t *key[MAX_COLUMNS];
    Column column[MAX_COLUMNS];
    int result[MAX_CELLS]; /* the cells that are given, in order */
    int64_t fresh[MAX_CELLS]; /* a group without rows; its first cells are for the keys */
    int64_t *group; /* all cells of one, then of the next */
    uint32_t count, room;
    uint64_t *slots; /* 0: free; else a hash, and below it the number of its group, from 1 */
    uint32_t last_slot;
    uint32_t runs, start[CHUNK_ROWS + 1], hash[CHUNK_ROWS], of[CHUNK_ROWS]; /* of a chunk */
} Groups;

static inline int64_t *cells_of(const Groups *g, uint32_t group)
{
    return g->group + (size_t)group * g->cells;
}

/* Give the keys and each column their cells. */
static void lay_out(Groups *g)
{
    for (g->cells = 0; g->cells < g->keys; g->cells++)
        g->result[g->cells] = g->cells;
    g->results = g->keys;
    for (int i = 0; i < g->columns; i++) {
        Column *c = &g->column[i];
        c->cell = g->cells++;
        g->fresh[c->cell] = c->rule == MIN ? INT64_MAX : c->rule == MAX ? INT64_MIN : 0;
        g->result[g->results++] = c->cell;
        if (c->rule == WIDE)
            g->result[g->results++] = g->cells;
        if (c->rule == WIDE || c->rule == DISTINCT)
            g->fresh[g->cells++] = 0;
    }
}

static int begin(Groups *g)
{
    lay_out(g);
    g->count = 0;
    g->room = FIRST_ROOM;
    g->last_slot = 2 * FIRST_ROOM - 1;
    g->group = malloc(sizeof(int64_t) * g->cells * g->room);
    g->slots = calloc(2 * FIRST_ROOM, sizeof(uint64_t));
    return g->group && g->slots;
}

static void end(Groups *g)
{
    free(g->group);
    free(g->slots);
}

/* Make room for twice as many groups; no more than half of the slots are ever taken. */
static int grow(Groups *g)
{
    size_t room = 2 * (size_t)g->room, last_slot = 2 * room - 1;
    int64_t *group = realloc(g->group, sizeof(int64_t) * g->cells * room);
    if (!group)
        return 0;
    g->group = group;
    uint64_t *slots = calloc(last_slot + 1, sizeof(uint64_t));
    if (!slots)
        return 0;
    for (size_t i = 0; i <= g->last_slot; i++) {
        size_t at = g->slots[i] >> 32 & last_slot;
        if (!g->slots[i])
            continue;
        while (slots[at])
            at = (at + 1) & last_slot;
        slots[at] = g->slots[i];
    }
    free(g->slots);
    g->slots = slots;
    g->room = room;
    g->last_slot = last_slot;
    return 1;
}

/* Find where runs of equal keys begin among the rows [from, from + rows). */
static inline void find_runs(Groups *g, int keys, size_t from, uint32_t rows)
{
    uint32_t runs = 1;
    g->start[0] = 0;
    for (uint32_t i = 1; i < rows; i++) {
        const size_t row = from + i;
        int64_t differs = g->key[0][row] ^ g->key[0][row - 1];
        for (int k = 1; k < keys; k++)
            differs |= g->key[k][row] ^ g->key[k][row - 1];
        g->start[runs] = i;
        runs += differs != 0;
    }
    g->start[runs] = rows;
    g->runs = runs;
}

/* Hash the keys of each run, and have fetched where they lead to: the slot, then its group. */
static inline void hash_runs(Groups *g, int keys, size_t from)
{
    for (uint32_t r = 0; r < g->runs; r++) {
        uint64_t h = 0;
        for (int k = 0; k < keys; k++) {
            h = (h ^ (uint64_t)g->key[k][from + g->start[r]]) * 0x9e3779b97f4a7c15u;
            h ^= h >> 32;
        }
        g->hash[r] = h * 0xd6e8feb86659fd93u >> 32;
        __builtin_prefetch(&g->slots[g->hash[r] & g->last_slot]);
    }
    for (uint32_t r = 0; r < g->runs; r++) {
        uint32_t number = g->slots[g->hash[r] & g->last_slot];
        __builtin_prefetch(cells_of(g, number ? number - 1 : 0));
    }
}

static inline int is_of(const Groups *g, int keys, uint32_t group, size_t row)
{
    const int64_t *cells = cells_of(g, group);
    for (int k = 0; k < keys; k++)
        if (cells[k] != g->key[k][row])
            return 0;
    return 1;
}

/* Begin the group that a row belongs to. */
static uint32_t begin_group(Groups *g, size_t row, uint32_t hash, size_t slot)
{
    int64_t *cells = cells_of(g, g->count);
    for (int k = 0; k < g->keys; k++)
        cells[k] = g->key[k][row];
    memcpy(cells + g->keys, g->fresh + g->keys, sizeof(int64_t) * (g->cells - g->keys));
    g->slots[slot] = (uint64_t)hash << 32 | (g->count + 1);
    return g->count++;
}

/* Find the group that each run belongs to; 0: it gives up. */
static inline int find_groups(Groups *g, int keys, size_t from)
{
    for (uint32_t r = 0; r < g->runs; r++) {
        size_t row = from + g->start[r];
        uint32_t hash = g->hash[r], at, probes = 0;
        if (g->count == g->room && !grow(g))
            return 0;
        for (at = hash & g->last_slot; g->slots[at]; at = (at + 1) & g->last_slot) {
            g->of[r] = (uint32_t)g->slots[at] - 1;
            if (g->slots[at] >> 32 == hash && is_of(g, keys, g->of[r], row))
                break;
            if (probes++ == MAX_PROBES)
                return 0;
        }
        if (!g->slots[at])
            g->of[r] = begin_group(g, row, hash, at);
    }
    return 1;
}

/* Find the runs of a chunk and their groups; 0: it gives up. */
static int part_chunk(Groups *g, size_t from, uint32_t rows)
{
    if (g->keys == 1) { /* as is usual: compiled apart */
        find_runs(g, 1, from, rows);
        hash_runs(g, 1, from);
        return find_groups(g, 1, from);
    }
    find_runs(g, g->keys, from, rows);
    hash_runs(g, g->keys, from);
    return find_groups(g, g->keys, from);
}
