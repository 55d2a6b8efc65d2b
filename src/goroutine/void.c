/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the history of switches has holes: records lost, programs replaced.
 * Kept as two sorted lists, so that a recording that lost thousands of times
 * still costs a sample two binary searches.
 */
#include <errno.h>
#include <stdlib.h>

#include "goroutine/history.h"

static int add(struct gj_void_list *voids, struct gj_void_window window)
{
	if (voids->cnt == voids->cap) {
		size_t cap = voids->cap ? voids->cap * 2 : 64;
		struct gj_void_window *list = reallocarray(voids->list, cap, sizeof(*list));

		if (!list)
			return -ENOMEM;
		voids->list = list;
		voids->cap = cap;
	}
	voids->list[voids->cnt++] = window;
	voids->is_sorted = false;
	return 0;
}

int gj_ghistory_lost(struct gj_ghistory *history, uint64_t begin_ns, uint64_t end_ns)
{
	return add(&history->losses, (struct gj_void_window){ 0, begin_ns, end_ns });
}

int gj_ghistory_exec(struct gj_ghistory *history, uint32_t pid, uint64_t time_ns)
{
	return add(&history->execs, (struct gj_void_window){ pid, time_ns, time_ns });
}

static int compare(const void *a, const void *b)
{
	const struct gj_void_window *left = a, *right = b;

	if (left->key != right->key)
		return left->key < right->key ? -1 : 1;
	if (left->begin_ns != right->begin_ns)
		return left->begin_ns < right->begin_ns ? -1 : 1;
	return 0;
}

static void sort(struct gj_void_list *voids)
{
	if (voids->is_sorted || !voids->cnt)
		return;
	qsort(voids->list, voids->cnt, sizeof(*voids->list), compare);
	for (size_t i = 1; i < voids->cnt; i++)
		if (voids->list[i].key == voids->list[i - 1].key &&
		    voids->list[i].end_ns < voids->list[i - 1].end_ns)
			voids->list[i].end_ns = voids->list[i - 1].end_ns;
	voids->is_sorted = true;
}

/* Whether a window of @key begins before @time_ns and reaches @since_ns. */
static bool holds(struct gj_void_list *voids, uint64_t key, uint64_t since_ns, uint64_t time_ns)
{
	size_t low = 0, high = voids->cnt;

	sort(voids);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct gj_void_window *window = &voids->list[middle];

		if (window->key < key || (window->key == key && window->begin_ns < time_ns))
			low = middle + 1;
		else
			high = middle;
	}
	return low && voids->list[low - 1].key == key && voids->list[low - 1].end_ns >= since_ns;
}

bool gj_ghistory_is_void(struct gj_ghistory *history, uint32_t pid, uint64_t since_ns,
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
