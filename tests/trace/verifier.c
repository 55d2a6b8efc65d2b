// SPDX-License-Identifier: GPL-2.0
/*
 * Loads every program of BPF objects, each alone, and prints what the kernel's verifier
 * says of it.
 *
 *   verifier FILE.bpf.o...
 *
 * A line each: OBJECT PROGRAM INSTRUCTIONS-VERIFIED INSTRUCTIONS STACK-BYTES, or
 * OBJECT PROGRAM refused: the end of the verifier's log.
 *
 * STACK-BYTES: of the program and all its functions, each at a multiple of 32, as kernels
 * up to 6.8 have it (kernel/bpf/verifier.c, check_max_stack_depth).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_STATS 4 /* kernel/bpf/verifier.c, BPF_LOG_STATS */

static char said[1 << 16]; /* the last that libbpf complained of */
static char stats[1 << 16]; /* the verifier's figures of the last program */

static int take_said(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && strstr(format, "LOG"))
		vsnprintf(said, sizeof(said), format, args);
	return 0;
}

/* The last line of the log that is neither its statistics nor libbpf's frame around it. */
static const char *end_of_log(void)
{
	const char *last = "no log";

	for (char *line = strtok(said, "\n"); line; line = strtok(NULL, "\n"))
		if (strncmp(line, "processed ", 10) && !strstr(line, "END PROG LOAD LOG"))
			last = line;
	return last;
}

/* "stack depth 408+48": the program, then its functions. */
static unsigned int stack_bytes(void)
{
	const char *at = strstr(stats, "stack depth ");
	unsigned int sum = 0;
	char *end;

	if (!at)
		return 0;
	at += strlen("stack depth ");
	do {
		unsigned long one = strtoul(at, &end, 10);

		sum += (unsigned int)(one ? (one + 31) / 32 * 32 : 32);
		at = end + 1;
	} while (*end == '+');
	return sum;
}

static void print_program(const char *object_name, const struct bpf_program *program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size_bytes = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size_bytes)) {
		printf("%s %s refused: %s\n", object_name, bpf_program__name(program), strerror(errno));
		return;
	}
	/* verified_insns: Linux 5.16. */
	printf("%s %s %u %u %u\n", object_name, bpf_program__name(program), info.verified_insns,
	       (unsigned int)(info.xlated_prog_len / sizeof(struct bpf_insn)), stack_bytes());
}

/* Loads the program numbered @number of the object and nothing else. False: there is none. */
static bool load_one(const char *path, const char *object_name, unsigned int number)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program, *one = NULL;
	unsigned int i = 0;
	int err;

	if (!object) {
		printf("%s - refused: %s\n", object_name, strerror(errno));
		return false;
	}
	bpf_object__for_each_program(program, object) {
		bpf_program__set_autoload(program, i == number);
		if (i++ == number)
			one = program;
	}
	if (one) {
		bpf_program__set_log_level(one, LOG_STATS);
		bpf_program__set_log_buf(one, stats, sizeof(stats));
	}
	if (one) {
		strcpy(said, "");
		err = bpf_object__load(object);
		if (err)
			printf("%s %s refused: %s: %s\n", object_name, bpf_program__name(one),
			       strerror(-err), end_of_log());
		else
			print_program(object_name, one);
		fflush(stdout);
	}
	bpf_object__close(object);
	return one;
}

int main(int argc, char **argv)
{
	libbpf_set_print(take_said);
	for (int i = 1; i < argc; i++) {
		const char *slash = strrchr(argv[i], '/');
		char name[64];

		snprintf(name, sizeof(name), "%s", slash ? slash + 1 : argv[i]);
		name[strcspn(name, ".")] = 0;
		for (unsigned int number = 0; load_one(argv[i], name, number); number++)
			;
	}
	return 0;
}
