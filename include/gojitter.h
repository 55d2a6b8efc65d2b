/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libgojitter for hosts: a program that reads samples (perf, a BPF loader)
 * hands each one over and gets back Go-aware text. The only header of ours
 * that a plugin includes.
 *
 * A session is one run over one recording. Not thread-safe. The library never
 * prints and never exits: text leaves through gj_host.write, complaints
 * through gj_host.warn.
 */
#ifndef GOJITTER_H
#define GOJITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Registers by the numbers of PERF_REG_X86_* / PERF_REG_ARM64_*. */
struct gj_regs {
	uint64_t mask;          /* bit N: register N is present */
	const uint64_t *values; /* one per bit set, lowest first; borrowed */
};

/* What the host knows of one address of the sample's process. */
struct gj_mapping {
	const char *dso;     /* path, NULL: unmapped; borrowed until the next call */
	uint64_t file_off;   /* offset in the file behind it */
	const char *sym;     /* the host's own symbol, NULL: none */
	uint64_t sym_off;
	const uint8_t *build_id; /* as recorded; NULL: not known */
	size_t build_id_bytes;
};

/* One sample as its host delivers it. Pointers are borrowed for the call. */
struct gj_sample {
	size_t size; /* sizeof(struct gj_sample) of the caller */
	uint32_t pid, tid;
	int32_t cpu;      /* -1: the record does not say */
	uint64_t ip;
	uint64_t time_ns; /* valid when has_time */
	uint64_t period;  /* valid when has_period */
	bool has_time, has_period;
	bool is_kernel;   /* hit in the kernel */
	const char *event; /* name as the host prints it */
	const char *comm;  /* NULL: unknown */
	/* Call chain with PERF_CONTEXT_* markers, innermost first; NULL: none recorded. */
	const uint64_t *chain;
	uint64_t chain_cnt;
	struct gj_regs regs;        /* user registers */
	const uint8_t *stack;       /* user stack from SP upwards; NULL: none */
	uint64_t stack_bytes;
	const uint8_t *raw;         /* tracepoint payload */
	uint32_t raw_bytes;
	/* The host's own first line shows more than stands here: let it print that one. */
	bool host_line;
	const struct gj_mapping *mapping; /* of ip; NULL: gj_host.resolve tells */
	/* The host knows the goroutine for certain, from the thread itself. */
	bool has_goid;
	uint64_t goid;
};

struct gj_host {
	size_t size; /* sizeof(struct gj_host) of the caller */
	void *data;  /* handed to every call */
	/* 0, or negative when the address is not mapped in the current sample's process. */
	int (*resolve)(void *data, uint64_t ip, struct gj_mapping *mapping_out);
	void (*write)(void *data, const char *text, size_t size_bytes);
	/* One line without newline. */
	void (*warn)(void *data, const char *line);
	/*
	 * Whether the host has source lines for the sample's own address: then it
	 * shows inlined calls there that we do not know. NULL: not known.
	 */
	bool (*has_lines)(void *data);
	/* When the recording was finished, in seconds since 1970; 0: not known. */
	int64_t recorded_s;
	/* How the host prints a record (format=perf follows it). */
	unsigned int id_width; /* least columns of a pid and a tid; 0: 7 */
	bool prints_file_off;  /* user addresses of a call chain as offsets in their file */
};

struct gj_session;

/*
 * gj_session_new - begin a run
 * @host: copied
 * @args: key=value options (docs/perf-plugin.md), @arg_cnt of them
 *
 * Returns NULL after gj_host.warn told why.
 */
struct gj_session *gj_session_new(const struct gj_host *host, char *const *args, int arg_cnt);

/*
 * gj_session_recording - the whole file the samples come from, if there is one
 *
 * Takes from it what `gojitter record` left behind the samples, where records were
 * lost, and the names of all events (for perf's column width). @bytes must be a
 * mapping of the file, whose pages are dropped as they are passed; borrowed until
 * gj_session_end.
 */
void gj_session_recording(struct gj_session *session, const uint8_t *bytes, size_t size_bytes);

/* Sees every sample, even those the host's filters will drop. True: bookkeeping only, drop it. */
bool gj_session_early(struct gj_session *session, const struct gj_sample *sample);

/* Who prints a sample. Unless it is GJ_PRINTED all text so far has been written. */
enum gj_printer {
	GJ_HOST_PRINTS, /* nothing in it is Go's */
	GJ_PRINTED,     /* the session took care of it */
	GJ_HOST_SHARES, /* the host prints; its text goes to gj_session_shared, not to the user */
};

/* One sample the user wants to see. */
enum gj_printer gj_session_sample(struct gj_session *session, const struct gj_sample *sample);

/*
 * gj_session_shared - what the host printed for the sample left with GJ_HOST_SHARES
 * @text: begins with that record; whatever else the host printed since may follow
 *
 * Writes it with the goroutine in its first line and the session's frames in
 * place of the host's. To be called before the next sample.
 */
void gj_session_shared(struct gj_session *session, const char *text, size_t size_bytes);

/* Writes what is left (in format=folded everything) and frees the session. NULL allowed. */
void gj_session_end(struct gj_session *session);

/*
 * gj_perf_record_regs - user registers and stack behind the call chain of a raw
 * PERF_RECORD_SAMPLE (include/uapi/linux/perf_event.h)
 * @sample_type, @sample_regs_user: of the event's attr
 * @misc: as the host gives it for this sample
 * @sample: chain and chain_cnt must point into the record; regs and stack are filled
 *
 * Checks itself: unless the header found by stepping back from the chain is
 * that of this sample, nothing is taken. Returns 0, -ENOENT when the record
 * carries neither, -EBADMSG when the check fails.
 */
int gj_perf_record_regs(uint64_t sample_type, uint64_t sample_regs_user, uint16_t misc,
			struct gj_sample *sample);

/*
 * Lines for hosts that print tracepoints one by one and know nothing but the
 * tracepoint's own fields (libtraceevent): the hits of our probe on
 * runtime.execute, events gojitter:goexec_ID.
 */
struct gj_goexec;

struct gj_goexec_hit {
	size_t size; /* sizeof(struct gj_goexec_hit) of the caller */
	const char *event; /* name without its group; the same pointer for every hit of an event */
	uint32_t tid;
	uint64_t probe_ip;
	uint64_t g, goid, start_pc; /* as recorded; 0: not recorded */
};

/*
 * @recording: the perf.data file the hits come from, borrowed until
 * gj_goexec_free; NULL when there is none. NULL: out of memory.
 */
struct gj_goexec *gj_goexec_new(const uint8_t *recording, size_t size_bytes);
void gj_goexec_free(struct gj_goexec *goexec); /* NULL allowed */
/*
 * Name number @index of those our events may have: the recording's, those
 * defined on this machine, and goexec_0 to goexec_63. NULL past the last.
 */
const char *gj_goexec_event(const struct gj_goexec *goexec, size_t index);
/* "goroutine 34 starts running main.worker (g=0xc000102380)"; until the next call. NULL: out of memory. */
const char *gj_goexec_text(struct gj_goexec *goexec, const struct gj_goexec_hit *hit);

#ifdef __cplusplus
}
#endif

#endif
