/* One pass over plain lines of delimited text, straight into columns of numbers.

It never judges: at a quote, a line with more or fewer cells than there are columns, or a wanted
cell that is not empty and no number that it can read exactly, it gives up.

Most lines begin as the one before does: cells that are the same to the byte are not read again. */

#include "columns.h"

enum { MAX_CELLS = 1024 };

typedef struct {
    Scan scan; /* its columns, and where the text ends */
    Plan plan;
    unsigned char delimiter, decimal;
    int cells;
    unsigned char kind[MAX_CELLS]; /* of a column: 'i', 'f', or another that is passed over */
    int column[MAX_CELLS];
    At before; /* the line before, or NULL */
    ptrdiff_t stop[MAX_CELLS]; /* in it: how far from its start the next cell is */
} Lines;

/* Pass over a cell: to the delimiter or the line's end behind it. */
static inline At pass_over(const Lines *l, At p)
{
#ifdef __SSE2__
    const __m128i delimiter = _mm_set1_epi8(l->delimiter), end = _mm_set1_epi8('\n');
    for (; l->scan.bytes.end - p >= HALF; p += HALF) {
        __m128i text = load(p);
        int found = _mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(text, delimiter), _mm_cmpeq_epi8(text, end)));
        if (found)
            return p + __builtin_ctz(found);
    }
#endif
    while (p < l->scan.bytes.end && *p != l->delimiter && *p != '\n')
        p++;
    return p;
}

/* Up to 18 digits, which always fit. */
static At whole_number(Scan *s, At p, int column)
{
    int negative = *p == '-';
    At first = p += negative;
    int64_t number = 0;
    for (; is_digit(*p); p++)
        number = p - first < 18 ? number * 10 + (*p - '0') : 0;
    if (p == first || p - first > 18)
        return NULL;
    return put_int(s, column, negative ? -number : number, PRESENT, p);
}

/* What is behind an e: how many places it moves the decimal sign. */
static At exponent(At p, int *places)
{
    int minus = *p == '-', moved = 0;
    At first = p += minus || *p == '+';
    for (; is_digit(*p); p++)
        if ((moved = moved * 10 + (*p - '0')) > 99)
            return NULL;
    *places += minus ? moved : -moved;
    return p == first ? NULL : p;
}

static At decimal_number(const Lines *l, Scan *s, At p, int column)
{
    int negative = *p == '-', places = 0, seen = 0, any = 0;
    uint64_t number = 0;
    for (p += negative; is_digit(*p); p++, any = 1) {
        number = number * 10 + (*p - '0');
        seen += number != 0;
    }
    if (*p == l->decimal)
        for (p++; is_digit(*p); p++, places++) {
            number = number * 10 + (*p - '0');
            seen += number != 0;
        }
    if ((!any && !places) || seen > 19 || places > 64) /* 19 digits fit */
        return NULL;
    if ((*p | 0x20) == 'e' && !(p = exponent(p + 1, &places)))
        return NULL;
    double size = number ? scaled(number, places) : 0.0;
    if (isnan(size))
        return NULL;
    return put_float(s, column, negative ? -size : size, PRESENT, p);
}

/* Read a cell; give where it ends. */
static inline At read_cell(Lines *l, At p, int cell)
{
    Scan *s = &l->scan;
    unsigned char kind = l->kind[cell];
    int column = l->column[cell];
    if (kind != 'i' && kind != 'f')
        return pass_over(l, p);
    if (*p == l->delimiter || *p == '\n' || *p == '\r' || p == s->bytes.end)
        return kind == 'i' ? put_int(s, column, 0, ABSENT, p) : put_float(s, column, NAN, ABSENT, p);
    return kind == 'i' ? whole_number(s, p, column) : decimal_number(l, s, p, column);
}

/* Take the cells that are those of the line before; give how many. */
static inline int same_cells(Lines *l, At p)
{
    Scan *s = &l->scan;
    int cell = 0;
    if (!l->before || l->cells < 2)
        return 0;
    ptrdiff_t same = alike(&s->bytes, p, l->before, l->stop[l->cells - 2]);
    for (; cell < l->cells - 1 && l->stop[cell] <= same; cell++)
        if (l->kind[cell] == 'i' || l->kind[cell] == 'f') {
            int column = l->column[cell];
            int64_t *values = (int64_t *)s->values[column] + s->rows; /* or doubles, as they are */
            values[0] = values[-1];
            s->states[column][s->rows] = s->states[column][s->rows - 1];
        }
    return cell;
}

/* Read a line; give where the next begins, or NULL: it gives up. */
static inline At read_line(Lines *l, At line)
{
    At end = l->scan.bytes.end;
    int cell = same_cells(l, line);
    At p = cell ? line + l->stop[cell - 1] : line;
    for (; cell < l->cells - 1; cell++) {
        if (!(p = read_cell(l, p, cell)) || *p != l->delimiter)
            return NULL;
        l->stop[cell] = ++p - line;
    }
    if (!(p = read_cell(l, p, cell)))
        return NULL;
    p += *p == '\r';
    if (p < end && *p != '\n')
        return NULL;
    l->before = line;
    return p < end ? p + 1 : end;
}

/* Read all lines from `p` on; 0: it gives up. Empty ones are no records. */
static int scan_lines(Lines *l, At p)
{
    Scan *s = &l->scan;
    while (p < s->bytes.end) {
        At behind = p + (*p == '\r');
        if (*behind == '\n' && behind < s->bytes.end) {
            p = behind + 1;
            continue;
        }
        if (s->rows == s->room && !make_room(s))
            return 0;
        if (!(p = read_line(l, p)))
            return 0;
        s->rows++;
    }
    return 1;
}
