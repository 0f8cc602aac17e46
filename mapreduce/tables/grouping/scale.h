/* Floats as whole numbers of a part of their unit: multiplied, rounded half to even. */

#include <math.h>
#include <stdint.h>
#ifdef __x86_64__
#include <emmintrin.h>
#endif

static inline int64_t nearest(double value)
{
#ifdef __x86_64__ /* every one has this; without it a call for each value */
    return _mm_cvtsd_si64(_mm_set_sd(value));
#else
    return llrint(value);
#endif
}

/* Scale `count` values; true if all lie between -most and most, as NaN does not. */
static int scale(const double *values, size_t count, double per_unit, double most, int64_t *scaled)
{
    int within = 1;
    for (size_t i = 0; i < count; i++) {
        within &= (values[i] > -most) & (values[i] < most);
        scaled[i] = nearest(values[i] * per_unit);
    }
    return within;
}
