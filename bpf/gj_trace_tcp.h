/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps of bpf/tcp.bpf.c: segments sent again, by the goroutine that wrote the
 * socket. Times are CLOCK_MONOTONIC in ns.
 */
#ifndef GJ_TRACE_TCP_H
#define GJ_TRACE_TCP_H

#include "gj_trace_goroutines.h"

/* Another goroutine wrote the socket within that time: who wrote what is sent again is not sure. */
#define GJ_TCP_AMBIGUOUS_NS 1000000000ull
#define GJ_TCP_WRITERS 4 /* of one socket that are told apart */

enum gj_family {
	ipv4 = 2, /* also what an IPv6 socket says to an IPv4 address */
	ipv6 = 10,
};

/* What a goroutine did to a socket. */
enum gj_socket_use {
	wrote = 0,
	connected = 1, /* began to connect it; nobody has written yet */
	listened = 2,
};

struct gj_writer {
	__u32 tgid, tid;
	__u64 goid; /* 0: not known */
	__u64 ns;   /* of its last write; 0: none */
};

/* Value of `sockets`, by the kernel's address of the socket: who used it last. */
struct gj_socket_owner {
	struct gj_writer last;
	enum gj_func func; /* where that goroutine began */
	enum gj_socket_use use;
	struct gj_writer others[GJ_TCP_WRITERS - 1]; /* that wrote before, in no order */
	struct gj_go_stack stack; /* of the last write; pc_cnt 0: none could be read */
};

/* Key of `tcp_retransmits`. Addresses of ipv4 are the first 4 bytes; remote ones of listeners are 0. */
struct gj_retransmit_key {
	__u32 tgid;
	enum gj_func func; /* where the goroutine began */
	__u64 goid;        /* 0: not known */
	enum gj_family family;
	__u16 local_port, remote_port;
	__u8 local[16], remote[16];
};

/*
 * Value of `tcp_retransmits`. @segments is what SNMP's RetransSegs counts; it is
 * @timeouts + @fast + @probes + @handshakes + @other + @unseen.
 */
struct gj_retransmits {
	__u64 segments;
	__u64 timeouts;   /* after the retransmission timer (RTO), until what was out then is acknowledged */
	__u64 fast;       /* fast retransmit, without waiting for the timer */
	__u64 probes;     /* tail loss probes: the last segment again, should it be lost */
	__u64 handshakes; /* SYN, SYN-ACK */
	__u64 other;
	__u64 unseen;     /* found in the socket's count; of no tracepoint */
	__u64 failed_cnt; /* tries of which nothing was sent; Linux 6.17 and later */
	__u64 ambiguous;  /* of @segments: while others had written within GJ_TCP_AMBIGUOUS_NS */
	__u32 writers;    /* the most that wrote within that time; GJ_TCP_WRITERS: or more */
	enum gj_socket_use use;
	__u64 last_ns;
	__u32 rtt_us;     /* smoothed, at the last */
	__u32 rtt_var_us;
	__u64 stack_hash; /* of the last: key of `tcp_stacks` */
	struct gj_go_stack stack;
};

/* Key and value of `tcp_stacks`: where what was sent again had been written. */
struct gj_tcp_stack_key {
	__u32 tgid;
	enum gj_func func;
	__u64 hash;
};

struct gj_tcp_stack {
	__u64 segments;
	__u64 ambiguous;
	struct gj_go_stack stack;
};

/*
 * Value of `tcp_unowned`, by network namespace (its inode): of sockets no goroutine is
 * known for, and of those that were accepted and closed without one.
 */
struct gj_unowned {
	__u64 segments; /* on Linux 6.17 and later with those of tries that sent nothing */
	__u64 syn_acks;
};

_Static_assert(sizeof(struct gj_socket_owner) == 240, "shared with dashboards");
_Static_assert(sizeof(struct gj_retransmit_key) == 56, "shared with dashboards");
_Static_assert(sizeof(struct gj_retransmits) == 240, "shared with dashboards");
_Static_assert(sizeof(struct gj_tcp_stack) == 152, "shared with dashboards");

#endif
