/* SPDX-License-Identifier: GPL-2.0 */
/* What the probes of an instance cost and may cost: maps that user space fills (src/load/budget.c). */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "gj_trace.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct gj_cost_key);
	__type(value, struct gj_cost);
} costs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gj_budget);
} budget SEC(".maps");
