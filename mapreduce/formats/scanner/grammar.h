/* The tokens of JSON, in bytes that end with a NUL.

A function takes the place to read at and gives the place behind what it read, or NULL where that
is not what it should be. A loop that stops at whatever it does not expect needs no bound, because
of the NUL; only loads of many bytes look at `end`. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef const unsigned char *At;

typedef struct {
    At end;             /* where the NUL is */
    unsigned char high; /* odd bytes of texts, or'ed: 0x80 and more where not all is ASCII */
} Bytes;

static inline At space(At p)
{
    while (*p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

static inline int is_digit(unsigned char c) { return (unsigned)(c - '0') <= 9; }

static inline At digits(At p)
{
    while (is_digit(*p))
        p++;
    return p;
}

static inline At literal(At p, const char *word)
{
    for (; *word; word++, p++)
        if (*p != (unsigned char)*word)
            return NULL;
    return p;
}

/* What Python's json writes of floats that JSON has no form for. */
static At not_finite(At p)
{
    return *p == 'N' ? literal(p, "NaN") : literal(p + (*p == '-'), "Infinity");
}

static At escape(At p) /* at the byte behind the backslash */
{
    if (*p != 'u')
        return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : NULL;
    int code = 0;
    for (int i = 1; i <= 4; i++) {
        int low = p[i] | 0x20;
        if (is_digit(p[i]))
            code = code * 16 + p[i] - '0';
        else if (low >= 'a' && low <= 'f')
            code = code * 16 + low - 'a' + 10;
        else
            return NULL;
    }
    return code >= 0xD800 && code <= 0xDFFF ? NULL : p + 5; /* half a pair is msgspec's business */
}

#ifdef __SSE2__ /* every x86-64 has it; elsewhere bytes are looked at one by one */
enum { HALF = 16, BLOCK = 2 * HALF };

static inline __m128i load(At p) { return _mm_loadu_si128((const __m128i *)p); }

/* Mark the bytes to look at: not ASCII, or no plain part of a text. */
static inline uint32_t odd_bytes(__m128i block)
{
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
    __m128i marks = _mm_or_si128(control, _mm_or_si128(quote, slash));
    return _mm_movemask_epi8(_mm_or_si128(marks, block)); /* the high bit of each */
}

static inline At plain_text(const Bytes *bytes, At p)
{
    while (bytes->end - p >= BLOCK) {
        uint32_t odd = odd_bytes(load(p)) | odd_bytes(load(p + HALF)) << HALF;
        if (odd)
            return p + __builtin_ctz(odd);
        p += BLOCK;
    }
    return p;
}

/* How many bytes at `a` are those at `b`, which lie before: at least `most`, or all up to the first
   that is not. Next to the end of all bytes it may say fewer. */
static inline ptrdiff_t alike(const Bytes *bytes, At a, At b, ptrdiff_t most)
{
    ptrdiff_t n = 0;
    for (; n < most && bytes->end - a >= n + BLOCK; n += BLOCK) {
        uint32_t one = _mm_movemask_epi8(_mm_cmpeq_epi8(load(a + n), load(b + n)));
        uint32_t two = _mm_movemask_epi8(_mm_cmpeq_epi8(load(a + n + HALF), load(b + n + HALF)));
        uint32_t other = ~(one | two << HALF);
        if (other)
            return n + __builtin_ctz(other);
    }
    return n;
}

/* The end of a number that is shorter than HALF and has no exponent; NULL where it isn't that. */
static inline At short_number(const Bytes *bytes, At p)
{
    p += *p == '-';
    if (bytes->end - p < HALF)
        return NULL;
    __m128i value = _mm_sub_epi8(load(p), _mm_set1_epi8('0'));
    __m128i numeric = _mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value);
    uint32_t other = ~_mm_movemask_epi8(numeric); /* bits from HALF on are set */
    int whole = __builtin_ctz(other), places = 1;
    At behind = p + whole;
    if (*behind == '.') {
        places = __builtin_ctz(other >> whole >> 1);
        behind += 1 + places;
    }
    int plain = whole && places && (*p != '0' || whole == 1) && (*behind | 0x20) != 'e';
    return plain && behind - p < HALF ? behind : NULL;
}
#else
static inline At plain_text(const Bytes *bytes, At p) { return p; }

static inline ptrdiff_t alike(const Bytes *bytes, At a, At b, ptrdiff_t most)
{
    ptrdiff_t n = 0;
    while (n < most && n < bytes->end - a && a[n] == b[n])
        n++;
    return n;
}

static inline At short_number(const Bytes *bytes, At p) { return NULL; }
#endif

static inline At text(Bytes *bytes, At p, int *escaped) /* at the byte behind the opening quote */
{
    for (;;) {
        p = plain_text(bytes, p);
        unsigned char c = *p++;
        if (c == '"')
            return p;
        if (c < 0x20)
            return NULL;
        bytes->high |= c;
        if (c == '\\') {
            *escaped = 1;
            if (!(p = escape(p)))
                return NULL;
        }
    }
}

static At any_number(At p)
{
    p += *p == '-';
    if (!is_digit(*p))
        return NULL;
    p = *p == '0' ? p + 1 : digits(p);
    if (*p == '.') {
        if (!is_digit(*++p))
            return NULL;
        p = digits(p);
    }
    if ((*p | 0x20) == 'e') {
        p++;
        p += *p == '+' || *p == '-';
        if (!is_digit(*p))
            return NULL;
        p = digits(p);
    }
    return p;
}

static inline At number(const Bytes *bytes, At p)
{
    At behind = short_number(bytes, p);
    return behind ? behind : any_number(p);
}
