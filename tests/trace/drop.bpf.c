/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loses one in 20 TCP segments that carry data, and all that come from port 7001:
 * IPv4 and IPv6 without options.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("tc")
int drop(struct __sk_buff *skb)
{
	int tcp = ETH_HLEN + (skb->protocol == bpf_htons(ETH_P_IPV6) ? 40 : 20);
	__u16 source = 0;

	if (!bpf_skb_load_bytes(skb, tcp, &source, sizeof(source)) && source == bpf_htons(7001))
		return TC_ACT_SHOT;
	/* Headers of Ethernet, IP and TCP are less than 150 bytes together; writes are 1000. */
	return skb->len > 150 && bpf_get_prandom_u32() % 20 == 0 ? TC_ACT_SHOT : TC_ACT_OK;
}
