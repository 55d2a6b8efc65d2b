/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the history of switches has gaps: records lost, programs replaced.
 * Kept as two sorted lists, so that a recording that lost thousands of times
 * still costs a sample two binary searches.
 */
#include <errno.h>
#include <stdlib.h>

#include "goroutine/history.h"

static int add(struct gj_ggap_list *gaps, struct gj_ggap window)
{
	if (gaps->cnt == gaps->cap) {
		size_t cap = gaps->cap ? gaps->cap * 2 : 64;
		struct gj_ggap *list = reallocarray(gaps->list, cap, sizeof(*list));

		if (!list)
			return -ENOMEM;
		gaps->list = list;
		gaps->cap = cap;
	}
	gaps->list[gaps->cnt++] = window;
	gaps->is_sorted = false;
	return 0;
}

int gj_ghistory_lost(struct gj_ghistory *history, uint64_t begin_ns, uint64_t end_ns)
{
	return add(&history->losses, (struct gj_ggap){ 0, begin_ns, end_ns });
}

int gj_ghistory_exec(struct gj_ghistory *history, uint32_t pid, uint64_t time_ns)
{
	return add(&history->execs, (struct gj_ggap){ pid, time_ns, time_ns });
}

static int compare(const void *a, const void *b)
{
	const struct gj_ggap *left = a, *right = b;

	if (left->key != right->key)
		return left->key < right->key ? -1 : 1;
	if (left->begin_ns != right->begin_ns)
		return left->begin_ns < right->begin_ns ? -1 : 1;
	return 0;
}

static void sort(struct gj_ggap_list *gaps)
{
	if (gaps->is_sorted || !gaps->cnt)
		return;
	qsort(gaps->list, gaps->cnt, sizeof(*gaps->list), compare);
	for (size_t i = 1; i < gaps->cnt; i++)
		if (gaps->list[i].key == gaps->list[i - 1].key &&
		    gaps->list[i].end_ns < gaps->list[i - 1].end_ns)
			gaps->list[i].end_ns = gaps->list[i - 1].end_ns;
	gaps->is_sorted = true;
}

/* Whether a window of @key begins before @time_ns and reaches @since_ns. */
static bool holds(struct gj_ggap_list *gaps, uint64_t key, uint64_t since_ns, uint64_t time_ns)
{
	size_t low = 0, high = gaps->cnt;

	sort(gaps);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct gj_ggap *window = &gaps->list[middle];

		if (window->key < key || (window->key == key && window->begin_ns < time_ns))
			low = middle + 1;
		else
			high = middle;
	}
	return low && gaps->list[low - 1].key == key && gaps->list[low - 1].end_ns >= since_ns;
}

bool gj_ghistory_has_gap(struct gj_ghistory *history, uint32_t pid, uint64_t since_ns,
			 uint64_t time_ns)
{
	return holds(&history->losses, 0, since_ns, time_ns) ||
	       holds(&history->execs, pid, since_ns, time_ns);
}

bool gj_ghistory_has_exec(struct gj_ghistory *history, uint32_t pid, uint64_t since_ns,
			  uint64_t time_ns)
{
	return holds(&history->execs, pid, since_ns, time_ns);
}
