/* SPDX-License-Identifier: GPL-2.0 */
/* Loses every 20th packet that carries more than headers, for tests/bpftrace/scripts.sh. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define MIN_DATA_BYTES 200

static __u32 seen;

SEC("tc") int drop(struct __sk_buff *skb)
{
	if (skb->len < MIN_DATA_BYTES)
		return TC_ACT_OK;
	/* Which one it is exactly does not matter: processors may count over each other. */
	return seen++ % 20 == 7 ? TC_ACT_SHOT : TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
