/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps of bpf/tcp.bpf.c, what it needs of the kernel's sockets, and the stack of a
 * goroutine that is in a syscall. To be included once, behind <linux/bpf.h>.
 */
#ifndef GJ_TCP_BPF_H
#define GJ_TCP_BPF_H

#include <stddef.h>

#include <bpf/bpf_endian.h>

#include "gj_trace_tcp.h"
#include "rare.bpf.h"
#include "whose.bpf.h"

#define IS_TCP 6 /* IPPROTO_TCP */

/* Linux include/net/tcp_states.h, include/net/inet_connection_sock.h, include/uapi/linux/tcp.h. */
enum tcp_state { STATE_ESTABLISHED = 1, STATE_SYN_SENT, STATE_SYN_RECV, STATE_CLOSE = 7, STATE_LISTEN = 10 };
enum tcp_ca_state { CA_RECOVERY = 3, CA_LOSS = 4 };
#define PENDING_LOSS_PROBE 5 /* ICSK_TIME_LOSS_PROBE */

struct in6_addr___tcp {
	__u8 bytes[16];
};

struct ns_common___tcp {
	__u32 inum;
} GJ_KERNEL_TYPE;

struct net {
	struct ns_common___tcp ns;
} GJ_KERNEL_TYPE;

typedef struct {
	struct net *net;
} GJ_KERNEL_TYPE possible_net_t;

struct sock_common {
	__u32 skc_daddr, skc_rcv_saddr;
	__u16 skc_dport;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr___tcp skc_v6_daddr, skc_v6_rcv_saddr;
} GJ_KERNEL_TYPE;

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
} GJ_KERNEL_TYPE;

struct inet_sock {
	__u16 inet_sport;
} GJ_KERNEL_TYPE;

struct inet_connection_sock {
	__u8 icsk_ca_state : 5;
	__u8 icsk_pending;
} GJ_KERNEL_TYPE;

struct tcp_sock {
	__u32 srtt_us, mdev_us;
	__u32 total_retrans;
} GJ_KERNEL_TYPE;

struct tcp_skb_cb {
	__u16 tcp_gso_segs;
} GJ_KERNEL_TYPE;

struct sk_buff {
	char cb[48];
} GJ_KERNEL_TYPE;

struct pt_regs___user {
	unsigned long ip, sp, bp;
} GJ_KERNEL_TYPE;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct gj_socket_owner);
} sockets SEC(".maps");

/* Why a segment is sent again, in the order of struct gj_retransmits. */
enum kind { BY_TIMEOUT, BY_FAST, BY_PROBE, BY_HANDSHAKE, BY_OTHER, BY_UNSEEN, KIND_CNT };
_Static_assert(offsetof(struct gj_retransmits, unseen) ==
		       offsetof(struct gj_retransmits, timeouts) + 8 * BY_UNSEEN,
	       "counters in the order of enum kind");

/*
 * What a socket has sent again. Written with the socket locked, but for the first time.
 * While a first write goes on its writer is not known yet: those segments wait here.
 */
struct total {
	__u32 seen; /* of tcp_sock.total_retrans */
	__u32 early[KIND_CNT];
};

/* Also of accepted sockets of processes that are not traced, so that old ones have to give way. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct total);
} tcp_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct gj_retransmit_key);
	__type(value, struct gj_retransmits);
} tcp_retransmits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct gj_tcp_stack_key);
	__type(value, struct gj_tcp_stack);
} tcp_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct gj_unowned);
} tcp_unowned SEC(".maps");

/* Owners are bigger than BPF's stack. One for each program: one may interrupt another. */
enum scratch { OF_WRITE, OF_SYSCALL, OF_STATE, OF_AGAIN, OF_SYN_ACK, SCRATCH_CNT };
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_CNT);
	__type(key, __u32);
	__type(value, struct gj_socket_owner);
} tcp_scratches SEC(".maps");

/* What new entries begin with. */
static const struct gj_retransmits no_retransmits;
static const struct gj_tcp_stack no_tcp_stack;
static const struct gj_unowned no_unowned;

/* inet_sport and not skc_num, which is given back before the last change of state. */
static __always_inline void read_addresses(struct sock *sk, struct gj_retransmit_key *key)
{
	__u32 *local = (__u32 *)key->local, *remote = (__u32 *)key->remote;

	key->local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	key->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	key->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (key->family == ipv6) {
		BPF_CORE_READ_INTO(&key->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&key->remote, sk, __sk_common.skc_v6_daddr);
		if (remote[0] || remote[1] || remote[2] != bpf_htonl(0xffff))
			return;
		key->family = ipv4;
		local[1] = local[2] = local[3] = remote[1] = remote[2] = remote[3] = 0;
	}
	local[0] = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	remote[0] = BPF_CORE_READ(sk, __sk_common.skc_daddr);
}

static __always_inline _Bool is_code(const struct gj_trace_target *target, __u64 pc)
{
	return pc - target->bias - target->text_va < GJ_FUNC_MASK;
}

/*
 * Where the current thread's goroutine is in a syscall: the instruction behind it,
 * the caller of Go's own stub for it, which has no frame (Go
 * src/internal/runtime/syscall/asm_linux_amd64.s), then along frame pointers.
 * Nothing for C's calls, which are on another stack.
 */
static __always_inline void read_syscall_stack(const struct gj_trace_target *target, __u64 g,
					       struct gj_go_stack *stack)
{
	struct pt_regs___user *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	__u64 lo = 0, hi = 0, sp = BPF_CORE_READ(regs, sp), bp = BPF_CORE_READ(regs, bp);
	__u64 pc = BPF_CORE_READ(regs, ip), frame[2] = { 0 };

	__builtin_memset(stack, 0, sizeof(*stack));
	if (!gj_user_u64(g, target->g_stack_lo, &lo) || !gj_user_u64(g, target->g_stack_hi, &hi) ||
	    sp < lo || sp + sizeof(frame) > hi || !is_code(target, pc))
		return;
	stack->pcs[0] = pc - target->bias;
	stack->pc_cnt = 1;
	if (bpf_probe_read_user(&pc, sizeof(pc), (void *)sp) || !is_code(target, pc))
		goto cut;
	for (int i = 1; i < GJ_GO_STACK_PCS; i++) {
		stack->pcs[i] = pc - target->bias;
		stack->pc_cnt = i + 1;
		/* runtime.goexit, under the first function, has no frame. */
		if (!bp)
			return;
		if (bp <= sp || bp + sizeof(frame) > hi ||
		    bpf_probe_read_user(frame, sizeof(frame), (void *)bp) || !is_code(target, frame[1]))
			break;
		sp = bp;
		bp = frame[0];
		pc = frame[1];
	}
cut:
	stack->is_cut = 1;
}

static __always_inline __u64 hash_of(const struct gj_go_stack *stack)
{
	__u64 hash = 0xcbf29ce484222325ull;

	for (int i = 0; i < GJ_GO_STACK_PCS; i++)
		hash = (hash ^ stack->pcs[i]) * 0x100000001b3ull;
	return hash;
}

#endif
