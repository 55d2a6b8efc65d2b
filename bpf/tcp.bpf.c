/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCP segments sent again, laid to the goroutine that wrote the socket last and to
 * the stack it wrote it with. A retransmission runs in whatever task it interrupts,
 * which is never asked: the owner is noted in the writer's own context.
 *
 * How many segments is told by the socket's own count (tcp_sock.total_retrans),
 * which rises with SNMP's RetransSegs (Linux net/ipv4/tcp_output.c,
 * __tcp_retransmit_skb). The tracepoint alone does not do: up to Linux 6.16 it is
 * silent when sending fails, from 6.17 on it also tells of tries that sent nothing.
 */
#include <linux/bpf.h>

#include "tcp.bpf.h"
#include "events.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline _Bool is_same(const struct gj_writer *one, const struct gj_writer *other)
{
	return one->tgid == other->tgid && one->goid == other->goid &&
	       (one->goid || one->tid == other->tid);
}

/* Takes over whom @last knows of, and whoever it is itself, without who writes now. */
static __always_inline void keep_others(struct gj_socket_owner *owner, const struct gj_socket_owner *last)
{
	_Bool is_kept = last->use != wrote || is_same(&last->last, &owner->last);

	__builtin_memcpy(owner->others, last->others, sizeof(owner->others));
	for (int i = 0; i < GJ_TCP_WRITERS - 1; i++) {
		struct gj_writer *other = &owner->others[i];

		if (is_same(other, &owner->last))
			other->ns = 0;
		if (!is_kept && other->ns && is_same(other, &last->last)) {
			other->ns = last->last.ns;
			is_kept = 1;
		}
	}
	/* In the place of the one longest ago. */
	for (int i = 0; i < GJ_TCP_WRITERS - 1; i++) {
		__u64 ns = owner->others[i].ns;

		if (is_kept || ns > owner->others[(i + 1) % 3].ns || ns > owner->others[(i + 2) % 3].ns)
			continue;
		owner->others[i] = last->last;
		is_kept = 1;
	}
}

/* What was sent again before is nobody's. */
static __always_inline void begin_total(__u64 sk)
{
	struct total total = { .seen = BPF_CORE_READ((struct tcp_sock *)sk, total_retrans) };

	bpf_map_update_elem(&tcp_totals, &sk, &total, BPF_ANY);
}

/* The current thread's goroutine is the one that uses the socket from now on. */
static __always_inline void note_owner(__u64 sk, const struct gj_trace_target *target, __u64 id,
				       enum gj_socket_use use, __u32 scratch)
{
	struct gj_socket_owner *owner = bpf_map_lookup_elem(&tcp_scratches, &scratch), *last;
	struct gj_whose whose;

	if (!owner)
		return;
	__builtin_memset(owner, 0, sizeof(*owner));
	if (!gj_whose_read(target, &whose))
		gj_drop(drop_no_goroutine);
	owner->last = (struct gj_writer){ id >> 32, id, whose.goid, bpf_ktime_get_ns() };
	owner->func = whose.func;
	owner->use = use;
	if (whose.g)
		read_syscall_stack(target, whose.g, &owner->stack);
	last = use == wrote ? bpf_map_lookup_elem(&sockets, &sk) : 0;
	if (last)
		keep_others(owner, last);
	if (use != wrote || !bpf_map_lookup_elem(&tcp_totals, &sk))
		begin_total(sk);
	if (bpf_map_update_elem(&sockets, &sk, owner, BPF_ANY))
		gj_drop(drop_map_full);
}

static __always_inline void forget(__u64 sk)
{
	bpf_map_delete_elem(&sockets, &sk);
	bpf_map_delete_elem(&tcp_totals, &sk);
}

static __always_inline void note_write(__u64 sk, __u32 scratch)
{
	__u64 id = gj_current_pid_tid((void *)bpf_get_current_task());
	const struct gj_trace_target *target;
	__u32 tgid = id >> 32;

	if (BPF_CORE_READ((struct sock *)sk, sk_protocol) != IS_TCP)
		return;
	target = bpf_map_lookup_elem(&targets, &tgid);
	if (target)
		note_owner(sk, target, id, wrote, scratch);
	else if (bpf_map_lookup_elem(&sockets, &sk))
		forget(sk); /* one of ours is not its last writer */
}

/* In the writer's context, behind the write. Linux 6.5. Arguments: sk, bytes or error, flags. */
SEC("tp_btf/sock_send_length")
int gj_tcp_write(__u64 *ctx)
{
	if ((int)ctx[1] > 0)
		note_write(ctx[0], OF_WRITE);
	return 0;
}

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
} GJ_KERNEL_TYPE;

struct files_struct {
	struct fdtable *fdt;
} GJ_KERNEL_TYPE;

struct task_struct___files {
	struct files_struct *files;
} GJ_KERNEL_TYPE;

struct inode___mode {
	unsigned short i_mode;
} GJ_KERNEL_TYPE;

struct file___socket {
	struct inode___mode *f_inode;
	void *private_data;
} GJ_KERNEL_TYPE;

struct socket {
	struct sock *sk;
} GJ_KERNEL_TYPE;

struct pt_regs___args {
	unsigned long di, dx;
} GJ_KERNEL_TYPE;

/* The socket behind a descriptor of the current process; 0: another file. */
static __always_inline __u64 socket_of(__u32 fd)
{
	struct task_struct___files *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file___socket *file = 0;
	struct socket *socket;

	if (!table || fd >= BPF_CORE_READ(table, max_fds) ||
	    bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd) || !file ||
	    (BPF_CORE_READ(file, f_inode, i_mode) & 0170000) != 0140000 /* S_IFSOCK */)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	return (__u64)BPF_CORE_READ(socket, sk);
}

/*
 * Instead of the above where the kernel has no such tracepoint: every syscall that
 * may write a socket, before it does. Arguments: registers, number.
 */
SEC("?tp_btf/sys_enter")
int gj_tcp_syscall(__u64 *ctx)
{
	__u64 id, sk, number = ctx[1];
	__u32 tgid, fd;

	/* write, writev, sendfile, sendto, sendmsg, sendmmsg, splice of arch/x86/entry/syscalls/syscall_64.tbl */
	if (number != 1 && number != 20 && number != 40 && number != 44 && number != 46 &&
	    number != 307 && number != 275)
		return 0;
	id = gj_current_pid_tid((void *)bpf_get_current_task());
	tgid = id >> 32;
	if (!bpf_map_lookup_elem(&targets, &tgid))
		return 0;
	fd = number == 275 ? BPF_CORE_READ((struct pt_regs___args *)ctx[0], dx) :
			     BPF_CORE_READ((struct pt_regs___args *)ctx[0], di);
	sk = socket_of(fd);
	if (sk)
		note_write(sk, OF_SYSCALL);
	return 0;
}

/* A copy of the socket's owner, which writers on other CPUs replace; NULL: nobody is known. */
static __always_inline struct gj_socket_owner *find_owner(__u64 sk, __u32 scratch)
{
	struct gj_socket_owner *owner, *copy = bpf_map_lookup_elem(&tcp_scratches, &scratch);

	for (int i = 0; i < 2; i++) {
		owner = bpf_map_lookup_elem(&sockets, &sk);
		if (!copy || !owner)
			return 0;
		*copy = *owner;
		if (owner == bpf_map_lookup_elem(&sockets, &sk))
			break;
	}
	return copy;
}

static __always_inline struct gj_unowned *unowned_of(struct sock *sk)
{
	__u32 inum = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);

	return gj_get(&tcp_unowned, &inum, &no_unowned);
}

/* Goroutines that wrote lately, the owner with them. */
static __always_inline __u32 count_writers(const struct gj_socket_owner *owner, __u64 now)
{
	__u32 cnt = 1;

	for (int i = 0; i < GJ_TCP_WRITERS - 1; i++)
		cnt += owner->others[i].ns && now - owner->others[i].ns < GJ_TCP_AMBIGUOUS_NS;
	return cnt;
}

static __always_inline enum kind kind_of(struct sock *sk)
{
	struct inet_connection_sock *icsk = (void *)sk;
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	__u64 ca_state = BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ca_state);

	if (state == STATE_SYN_SENT || state == STATE_SYN_RECV)
		return BY_HANDSHAKE;
	if (ca_state == CA_LOSS)
		return BY_TIMEOUT;
	if (ca_state == CA_RECOVERY)
		return BY_FAST;
	/* tcp_write_timer_handler leaves it until tcp_send_loss_probe has sent. */
	return BPF_CORE_READ(icsk, icsk_pending) == PENDING_LOSS_PROBE ? BY_PROBE : BY_OTHER;
}

static __always_inline void count_stack(const struct gj_socket_owner *owner, __u64 hash,
					__u64 segments, _Bool is_ambiguous)
{
	struct gj_tcp_stack_key key = { .tgid = owner->last.tgid, .func = owner->func, .hash = hash };
	struct gj_tcp_stack *sum = gj_get(&tcp_stacks, &key, &no_tcp_stack);

	if (!sum)
		return;
	if (!sum->stack.pc_cnt)
		sum->stack = owner->stack;
	gj_add(&sum->segments, segments);
	if (is_ambiguous)
		gj_add(&sum->ambiguous, segments);
}

static __always_inline struct gj_retransmits *sum_of(struct sock *sk, const struct gj_socket_owner *owner)
{
	struct gj_retransmit_key key = { .tgid = owner->last.tgid, .func = owner->func,
					 .goid = owner->last.goid };

	read_addresses(sk, &key);
	return gj_get(&tcp_retransmits, &key, &no_retransmits);
}

/* What all @segments have in common, whatever they were sent again for. */
static __always_inline void count(struct gj_retransmits *sum, struct sock *sk,
				  const struct gj_socket_owner *owner, __u64 segments)
{
	__u64 now = bpf_ktime_get_ns(), hash = hash_of(&owner->stack);
	__u32 writers = count_writers(owner, now);

	gj_add(&sum->segments, segments);
	if (writers > 1)
		gj_add(&sum->ambiguous, segments);
	if (writers > sum->writers)
		sum->writers = writers;
	sum->use = owner->use;
	sum->last_ns = now;
	sum->rtt_us = BPF_CORE_READ((struct tcp_sock *)sk, srtt_us) >> 3; /* kept times 8 and 4 */
	sum->rtt_var_us = BPF_CORE_READ((struct tcp_sock *)sk, mdev_us) >> 2;
	sum->stack_hash = hash;
	sum->stack = owner->stack;
	count_stack(owner, hash, segments, writers > 1);
}

/* Of whoever owns the socket; the current task is only who was interrupted. */
static __always_inline void tell_again(void *ctx, struct sock *sk, const struct gj_socket_owner *owner,
				       __u64 segments)
{
	struct gj_retransmit_key key = { 0 };
	struct gj_event event = {
		.time_ns = bpf_ktime_get_ns(), .tgid = owner->last.tgid, .tid = owner->last.tid,
		.goid = owner->last.goid, .func = owner->func, .kind = tcp_retransmitted,
		.program = owner->func >> GJ_FUNC_SHIFT,
		.tcp = { .segments = segments, .rtt_us = BPF_CORE_READ((struct tcp_sock *)sk, srtt_us) >> 3 },
	};

	read_addresses(sk, &key);
	event.tcp.writers = count_writers(owner, event.time_ns);
	event.tcp.local_port = key.local_port;
	event.tcp.remote_port = key.remote_port;
	if (key.family == ipv4)
		__builtin_memcpy(event.tcp.remote, key.remote, sizeof(event.tcp.remote));
	gj_tell(ctx, &event);
}

/*
 * What the socket has sent again since it was asked last goes to total->early. The
 * socket is locked. @skb: what is sent just now, or NULL; more than that is of others
 * the kernel did not tell. Returns how many segments.
 */
static __always_inline __u32 take_new(struct sock *sk, struct total *total, void *skb)
{
	struct tcp_skb_cb *cb = skb + bpf_core_field_offset(struct sk_buff, cb);
	__u32 now = BPF_CORE_READ((struct tcp_sock *)sk, total_retrans), new = now - total->seen;
	__u32 own = skb ? BPF_CORE_READ(cb, tcp_gso_segs) : 0;
	enum kind kind = kind_of(sk);

	if (own > new)
		own = new;
	total->seen = now;
	if (kind < KIND_CNT)
		total->early[kind] += own;
	total->early[BY_UNSEEN] += new - own;
	return new;
}

/* total->early goes to whoever owns the socket. */
static __always_inline void settle(void *ctx, struct sock *sk, struct total *total,
				   const struct gj_socket_owner *owner, _Bool has_failed)
{
	struct gj_retransmits *sum = sum_of(sk, owner);
	__u64 segments = 0;

	if (!sum)
		return;
	for (int i = 0; i < KIND_CNT; i++) {
		gj_add(&sum->timeouts + i, total->early[i]);
		segments += total->early[i];
		total->early[i] = 0;
	}
	if (has_failed)
		gj_add(&sum->failed_cnt, 1);
	count(sum, sk, owner, segments);
	if (gj_tells(tcp_retransmitted) && segments)
		tell_again(ctx, sk, owner, segments);
}

/* Its address may be another socket's soon: what is not counted yet is now. */
static __always_inline void close_socket(void *ctx, __u64 sk)
{
	struct total *total = bpf_map_lookup_elem(&tcp_totals, &sk);
	struct gj_socket_owner *owner = find_owner(sk, OF_STATE);
	struct gj_unowned *unowned;
	__u32 segments = 0;

	if (!total)
		return;
	take_new((void *)sk, total, 0);
	for (int i = 0; i < KIND_CNT; i++)
		segments += total->early[i];
	if (segments && owner) {
		settle(ctx, (void *)sk, total, owner, 0);
	} else if (segments) {
		unowned = unowned_of((void *)sk);
		if (unowned)
			gj_add(&unowned->segments, segments);
	}
	forget(sk);
}

/* Arguments: sk, old, new state. */
SEC("tp_btf/inet_sock_set_state")
int gj_tcp_state(__u64 *ctx)
{
	__u32 old = ctx[1], new = ctx[2], tgid;
	const struct gj_trace_target *target;
	__u64 sk = ctx[0], id;

	if (BPF_CORE_READ((struct sock *)sk, sk_protocol) != IS_TCP)
		return 0;
	if (new == STATE_CLOSE) {
		close_socket(ctx, sk);
		return 0;
	}
	/* One that was accepted: whoever is noted had another at this address. */
	if (old == STATE_SYN_RECV && new == STATE_ESTABLISHED) {
		bpf_map_delete_elem(&sockets, &sk);
		begin_total(sk);
	}
	if (new != STATE_SYN_SENT && new != STATE_LISTEN)
		return 0;
	/* By connect and listen, in the context of who calls them. */
	id = gj_current_pid_tid((void *)bpf_get_current_task());
	tgid = id >> 32;
	target = bpf_map_lookup_elem(&targets, &tgid);
	if (target)
		note_owner(sk, target, id, new == STATE_LISTEN ? listened : connected, OF_STATE);
	else
		forget(sk);
	return 0;
}

/* Of a socket that nobody asked about yet. */
static __always_inline void count_unowned(struct sock *sk, void *skb)
{
	struct tcp_skb_cb *cb = skb + bpf_core_field_offset(struct sk_buff, cb);
	struct gj_unowned *unowned = unowned_of(sk);

	if (unowned)
		gj_add(&unowned->segments, BPF_CORE_READ(cb, tcp_gso_segs));
}

/* Arguments: sk, skb; from 6.17 on an error. */
SEC("tp_btf/tcp_retransmit_skb")
int gj_tcp_again(__u64 *ctx)
{
	__u64 sk = ctx[0];
	struct gj_socket_owner *owner = find_owner(sk, OF_AGAIN);
	struct total *total = bpf_map_lookup_elem(&tcp_totals, &sk);
	_Bool has_failed;

	if (!total) {
		if (owner)
			gj_drop(drop_no_start);
		count_unowned((void *)sk, (void *)ctx[1]);
		return 0;
	}
	has_failed = !take_new((void *)sk, total, (void *)ctx[1]);
	/* The first write goes on: it will have an owner. */
	if (!owner || (owner->use == connected &&
		       BPF_CORE_READ((struct sock *)sk, __sk_common.skc_state) != STATE_SYN_SENT))
		return 0;
	settle(ctx, (void *)sk, total, owner, has_failed);
	return 0;
}

/* Arguments: the listener, the request. */
SEC("tp_btf/tcp_retransmit_synack")
int gj_tcp_syn_ack(__u64 *ctx)
{
	__u64 sk = ctx[0];
	struct gj_socket_owner *owner = find_owner(sk, OF_SYN_ACK);
	struct gj_unowned *unowned;
	struct gj_retransmits *sum;

	if (!owner) {
		unowned = unowned_of((void *)sk);
		if (unowned)
			gj_add(&unowned->syn_acks, 1);
		return 0;
	}
	sum = sum_of((void *)sk, owner);
	if (!sum)
		return 0;
	gj_add(&sum->handshakes, 1);
	count(sum, (void *)sk, owner, 1);
	if (gj_tells(tcp_retransmitted))
		tell_again(ctx, (void *)sk, owner, 1);
	return 0;
}
