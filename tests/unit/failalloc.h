/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes the Nth allocation of the code under test fail. The test is linked
 * with --wrap for each of these functions (mk/test.mk), so it sees what
 * libgojitter.a allocates, not what libc does by itself.
 */
#ifndef GJ_TEST_FAILALLOC_H
#define GJ_TEST_FAILALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Allocations to let through before one fails; negative: all. */
static long failalloc_countdown = -1;
static bool failalloc_happened;

static bool failalloc_now(void)
{
	if (failalloc_countdown < 0 || failalloc_countdown-- > 0)
		return false;
	failalloc_happened = true;
	return true;
}

#define FAILALLOC(name, parameters, arguments)                                            \
	void *__real_##name parameters;                                                   \
	void *__wrap_##name parameters;                                                   \
	void *__wrap_##name parameters                                                    \
	{                                                                                 \
		return failalloc_now() ? NULL : __real_##name arguments;                  \
	}

FAILALLOC(malloc, (size_t size), (size))
FAILALLOC(calloc, (size_t cnt, size_t size), (cnt, size))
FAILALLOC(realloc, (void *old, size_t size), (old, size))
FAILALLOC(reallocarray, (void *old, size_t cnt, size_t size), (old, cnt, size))
FAILALLOC(strdup, (const char *text), (text))
FAILALLOC(strndup, (const char *text, size_t size), (text, size))
FAILALLOC(tsearch, (const void *key, void **root, int (*compare)(const void *, const void *)),
	  (key, root, compare))

/*
 * Calls @once with the first allocation failing, then the second and so on,
 * until it gets through. Returns how many failed.
 */
static size_t failalloc_each(void (*once)(void *data), void *data)
{
	for (size_t cnt = 0;; cnt++) {
		failalloc_happened = false;
		failalloc_countdown = (long)cnt;
		once(data);
		failalloc_countdown = -1;
		if (!failalloc_happened)
			return cnt;
	}
}

#endif
