/* The values of a chunk go into the cells of their groups, an array at a time. */

#include "groups.h"

/* What a run of values comes to. */
typedef struct {
    int64_t sum, least, most;
    int passed; /* whether the sum passed int64 on its way */
} Tally;

static inline Tally tally(const int64_t *values, uint32_t n)
{
    Tally t = {0, values[0], values[0], 0};
    for (uint32_t i = 0; i < n; i++) {
        t.passed |= __builtin_add_overflow(t.sum, values[i], &t.sum);
        t.least = values[i] < t.least ? values[i] : t.least;
        t.most = values[i] > t.most ? values[i] : t.most;
    }
    return t;
}

static inline Tally tally_of_one(int64_t value, uint32_t n)
{
    Tally t = {0, value, value, 0};
    t.passed = __builtin_mul_overflow(value, (int64_t)n, &t.sum);
    return t;
}

/* Add a run's tally to a column's cell; true where a sum passed int64. */
static inline int put(int64_t *cell, enum Rule rule, const Tally *t)
{
    switch (rule) {
    case MIN:
        *cell = t->least < *cell ? t->least : *cell;
        return 0;
    case MAX:
        *cell = t->most > *cell ? t->most : *cell;
        return 0;
    default:
        return __builtin_add_overflow(*cell, t->sum, cell) | t->passed;
    }
}

static inline void put_wide(int64_t *cell, const int64_t *values, uint32_t n)
{
    int64_t high = 0, low = 0;
    for (uint32_t i = 0; i < n; i++) {
        high += values[i] >> LIMB_BITS;
        low += values[i] & LIMB_MASK;
    }
    cell[0] += high;
    cell[1] += low;
}

static inline void put_wide_of_one(int64_t *cell, int64_t value, uint32_t n)
{
    cell[0] += (value >> LIMB_BITS) * n;
    cell[1] += (value & LIMB_MASK) * n;
}

/* Count values that are not as the one before; it is in the second cell. */
static inline void put_distinct(int64_t *cell, const int64_t *values, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        cell[0] += !cell[0] || cell[1] != values[i];
        cell[1] = values[i];
    }
}

/* Fill a column, and those of the same values, from a chunk whose values begin at `values`; true
   where a sum passed int64. */
static int fill(Groups *g, const Column *c, const int64_t *values)
{
    int passed = 0;
    for (uint32_t r = 0; r < g->runs; r++) {
        int64_t *cells = cells_of(g, g->of[r]);
        Tally t = tally(values + g->start[r], g->start[r + 1] - g->start[r]);
        for (const Column *each = c; each; each = each->next)
            passed |= put(cells + each->cell, each->rule, &t);
    }
    return passed;
}

/* Do the same for one whose rows all have one value. */
static int fill_with_one(Groups *g, const Column *c)
{
    int passed = 0;
    for (uint32_t r = 0; r < g->runs; r++) {
        int64_t *cell = cells_of(g, g->of[r]) + c->cell;
        Tally t = tally_of_one(c->constant, g->start[r + 1] - g->start[r]);
        passed |= put(cell, c->rule, &t);
    }
    return passed;
}

static void fill_wide(Groups *g, const Column *c, const int64_t *values)
{
    for (uint32_t r = 0; r < g->runs; r++) {
        int64_t *cell = cells_of(g, g->of[r]) + c->cell;
        uint32_t n = g->start[r + 1] - g->start[r];
        if (values)
            put_wide(cell, values + g->start[r], n);
        else
            put_wide_of_one(cell, c->constant, n);
    }
}

static void fill_distinct(Groups *g, const Column *c, const int64_t *values)
{
    for (uint32_t r = 0; r < g->runs; r++) {
        int64_t *cell = cells_of(g, g->of[r]) + c->cell;
        if (values)
            put_distinct(cell, values + g->start[r], g->start[r + 1] - g->start[r]);
        else
            put_distinct(cell, &c->constant, 1);
    }
}

/* Fill all columns from a chunk; true where a sum passed int64. */
static int fill_columns(Groups *g, size_t from)
{
    int passed = 0;
    for (int i = 0; i < g->columns; i++) {
        const Column *c = &g->column[i];
        const int64_t *values = c->values ? c->values + from : NULL;
        if (c->rule == WIDE)
            fill_wide(g, c, values);
        else if (c->rule == DISTINCT)
            fill_distinct(g, c, values);
        else if (!values)
            passed |= fill_with_one(g, c);
        else if (!c->is_next)
            passed |= fill(g, c, values);
    }
    return passed;
}

/* Bring a wide sum to its one form, 0 <= low < 2**32; true where it passed its limbs. */
static int carry(Groups *g, const Column *c)
{
    int low = c->rule == WIDE ? c->cell + 1 : c->cell, passed = 0;
    if (c->rule != WIDE && c->rule != LOW)
        return 0;
    for (uint32_t i = 0; i < g->count; i++) {
        int64_t *cells = cells_of(g, i);
        passed |= __builtin_add_overflow(cells[low - 1], cells[low] >> LIMB_BITS, &cells[low - 1]);
        cells[low] &= LIMB_MASK;
    }
    return passed;
}

/* Have columns of the same values filled together, which takes hardly longer than one of them. */
static void join_columns(Groups *g)
{
    for (int i = 0; i < g->columns; i++) {
        Column *c = &g->column[i];
        if (!c->values || c->rule == WIDE || c->rule == DISTINCT)
            continue;
        for (int j = i - 1; j >= 0 && !c->is_next; j--) {
            Column *before = &g->column[j];
            if (before->values != c->values || before->rule == WIDE || before->rule == DISTINCT)
                continue;
            before->next = c;
            c->is_next = 1;
        }
    }
}

/* Group some rows; 0: it gives up. */
static int group_rows(Groups *g, size_t rows)
{
    int passed = 0;
    join_columns(g);
    for (size_t from = 0; from < rows && !passed; from += CHUNK_ROWS) {
        if (!part_chunk(g, from, rows - from < CHUNK_ROWS ? rows - from : CHUNK_ROWS))
            return 0;
        passed = fill_columns(g, from);
    }
    for (int i = 0; i < g->columns; i++)
        passed |= carry(g, &g->column[i]);
    return !passed;
}
