/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every cap on a loop or an allocation that input drives, with unit and reason.
 */
#ifndef GJ_BASE_LIMITS_H
#define GJ_BASE_LIMITS_H

/* Inlined calls at one address. Go's inliner stays far below; a cyclic tree does not. */
#define GJ_MAX_INLINE_DEPTH 256

/* Functions in one .gopclntab: 2^24, the bound the header scan uses too. */
#define GJ_MAX_FUNCS (1u << 24)

/* Frames of one call chain: kernel.perf_event_max_stack can be raised to 1024, twice for both parts. */
#define GJ_MAX_CHAIN 4096

/* Bytes of stacks counted for folded output before they are written and begun anew. */
#define GJ_MAX_FOLDED_BYTES (256u << 20)

/* Bytes of one formatted symbol name; longer ones are shown cut. Generic shapes reach kilobytes. */
#define GJ_MAX_NAME_BYTES 16384

/* Program headers and sections looked at in one ELF file. */
#define GJ_MAX_SEGMENTS 1024
#define GJ_MAX_SECTIONS 65536

/* Symbols indexed by address: 2^26, 1.6 GB of .symtab. */
#define GJ_MAX_SYMBOLS (1u << 26)

/*
 * Words equal to .gopclntab's address that are tried as moduledata. Real
 * images have up to three; a hostile one could have nothing else.
 */
#define GJ_MAX_MODULEDATA_TRIES 1024

/* Bytes of one /proc/PID/maps: vm.max_map_count defaults to 65530 lines of about 100 bytes. */
#define GJ_MAX_MAPS_BYTES (64u << 20)

/*
 * Entries of DWARF walked through side by side. The runtime's unit holds every
 * type of the program, 50,000 in Go's compiler; a sibling that points back would
 * never end.
 */
#define GJ_MAX_DWARF_ENTRIES (1u << 24)

/* Goroutines of one process, dead ones included: 2^24, 128 MB of pointers. */
#define GJ_MAX_GOROUTINES (1u << 24)

/* Threads of one process; Go stops at 10,000 by default (runtime/debug.SetMaxThreads). */
#define GJ_MAX_THREADS (1u << 18)

/* Times a goroutine, or a list, is read again because it changed meanwhile. */
#define GJ_MAX_REREADS 16

/* Bytes of one function that are decoded. The runtime's own stay below 8 KiB. */
#define GJ_MAX_CODE_BYTES (1u << 20)

/* Rows of one function's inline tree that are looked at: 2^20, 16 MB of tree. Real ones have thousands. */
#define GJ_MAX_INLINE_ROWS (1 << 20)

/*
 * Bytes of a debug file for each byte of its image, and what small images may
 * have anyway. Real ones take less than one; tables that share their parts
 * could describe any amount of code.
 */
#define GJ_MAX_DEBUGINFO_RATIO 8
#define GJ_MIN_DEBUGINFO_BYTES (1u << 24)

/* Names of probe events taken from one recording or machine: one per Go binary being watched. */
#define GJ_MAX_GOEXEC_NAMES 1024

/*
 * Bytes spent on finding one's way in one image's long pc-value tables. Go's
 * compiler, 37 MB, needs 4 MB when all of its code is asked for; records that
 * overlap would need any amount. Beyond it look-ups are slower.
 */
#define GJ_MAX_PCINDEX_BYTES (64u << 20)

/* Signal handlers on one stack. Go blocks all signals in its own; C may nest a few. */
#define GJ_MAX_SIGNAL_FRAMES 8

/* Bytes of one Go frame: a goroutine's stack ends at 1 GB (runtime.maxstacksize). */
#define GJ_MAX_FRAME_BYTES (1u << 30)

/* Records of one thread within a millisecond that are compared with a sample of it. perf samples at 50 kHz at most. */
#define GJ_MAX_STACK_TRIES 256

/*
 * pprof labels of one goroutine that are shown, bytes of one text, and buckets of
 * the map that held them up to Go 1.23. Real ones have a handful.
 */
#define GJ_MAX_LABELS 32
#define GJ_MAX_LABEL_BYTES 1024
#define GJ_MAX_LABEL_BUCKETS 64

/* States that call frame instructions remember at a time. Compilers nest one or two. */
#define GJ_MAX_CFI_STATES 16

/* Rows of one image's compiled call frame information: 2^24, 400 MB. libLLVM has 2^21. */
#define GJ_MAX_CFI_ROWS (1u << 24)

/*
 * Bytes of one pprof profile, uncompressed. Profiles of big services have 50 MB;
 * half a megabyte of gzip can hold half a gigabyte of zeros.
 */
#define GJ_MAX_PPROF_BYTES (512u << 20)

/* Bytes one profile may take in memory: an empty message of two bytes takes fifty times that. */
#define GJ_MAX_PPROF_MEMORY_BYTES (1u << 30)

/* Labels of one sample: our own four and the program's, of which pprof.Do has a few. */
#define GJ_MAX_PPROF_LABELS 64

/* Rows of one image for the unwinder in the kernel: 2^23, 64 MiB of it. Go's compiler has 186,000. */
#define GJ_MAX_UNWIND_ROWS (1u << 23)

/* Code of one image for it: 1 GiB, whose pages of 256 bytes take 32 MiB. */
#define GJ_MAX_UNWIND_CODE_BYTES (1u << 30)

/* Rows of what the probes of one instance cost: a feature has ten programs at most, its own row beside. */
#define GJ_MAX_COST_ROWS 256

/* Processes whose time is added up for a budget: what the map of targets has room for. */
#define GJ_MAX_BUDGET_TARGETS 1024
/*
 * Places of one BPF object that gojitter bpf-object writes: each has its program
 * once more, up to 20 KB. Go 1.27 has some forty for everything.
 */
#define GJ_MAX_OBJECT_PLACES 512
/* Bytes of one instance's metrics: four times what 2048 steps of bpf/metrics.bpf.c print. */
#define GJ_MAX_EXPORT_BYTES (256u << 20)

#endif
