/* SPDX-License-Identifier: GPL-2.0 */
/*
 * gojitter sym: addresses from standard input.
 *
 * Whatever has arrived is answered, then more is read: a program at the other
 * end of a pipe gets each answer at once, and a long list is answered in large
 * pieces. Where there is much to do several threads take a piece each; they
 * write in the order in which they read.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/sym.h"

#define PIECE_BYTES (2u << 20)
#define MAX_THREADS 4 /* each needs some 25 MB for a full piece */

/* Shared by the threads that answer. */
struct input {
	struct sym *sym;
	pthread_mutex_t read_lock;
	/* Under read_lock: */
	char rest[PIECE_BYTES]; /* the line that the last piece broke off */
	size_t rest_bytes;
	bool ended;
	int thread_cnt; /* of threads; the main one is none of them */
	pthread_t threads[MAX_THREADS - 1];
	uint64_t read_cnt; /* pieces handed out */
	pthread_mutex_t write_lock;
	pthread_cond_t written;
	/* Under write_lock: */
	uint64_t written_cnt;
	int status;
	atomic_bool is_stopped; /* output failed */
};

struct piece {
	char bytes[PIECE_BYTES + 1];
	size_t size_bytes;
	uint64_t number;
};

static bool is_more_waiting(void)
{
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

/* Reads until the piece is full, or until it has a whole line and nothing more is waiting. */
static void fill(struct input *input, struct piece *piece)
{
	bool has_line = false;
	ssize_t got;

	memcpy(piece->bytes, input->rest, input->rest_bytes);
	piece->size_bytes = input->rest_bytes;
	input->rest_bytes = 0;
	while (piece->size_bytes < PIECE_BYTES && !(has_line && !is_more_waiting())) {
		char *at = piece->bytes + piece->size_bytes;

		do {
			got = read(STDIN_FILENO, at, PIECE_BYTES - piece->size_bytes);
		} while (got < 0 && errno == EINTR);
		if (got <= 0) {
			input->ended = true;
			return;
		}
		piece->size_bytes += (size_t)got;
		has_line = has_line || memchr(at, '\n', (size_t)got);
	}
}

/* The next piece: whole lines, but for the last line of all. false at the end. */
static bool read_piece(struct input *input, struct piece *piece)
{
	bool has_lines;
	char *end;

	pthread_mutex_lock(&input->read_lock);
	if (input->ended || input->is_stopped) {
		pthread_mutex_unlock(&input->read_lock);
		return false;
	}
	fill(input, piece);
	end = memrchr(piece->bytes, '\n', piece->size_bytes);
	/* No address is as long as a piece: such a line is answered for in parts. */
	if (!input->ended && end) {
		input->rest_bytes = piece->size_bytes - (size_t)(end + 1 - piece->bytes);
		memcpy(input->rest, end + 1, input->rest_bytes);
		piece->size_bytes -= input->rest_bytes;
	}
	has_lines = piece->size_bytes > 0;
	if (has_lines)
		piece->number = input->read_cnt++;
	pthread_mutex_unlock(&input->read_lock);
	return has_lines;
}

/* One more than the value of a hexadecimal digit, 0 for any other byte. */
static const uint8_t hex_values[256] = {
	['0'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
	['A'] = 11, 12, 13, 14, 15, 16,
	['a'] = 11, 12, 13, 14, 15, 16,
};

/* Digits from @text on; returns behind them, or NULL when there are none or too many. */
static inline const char *take_digits(const char *text, uint64_t *va_out)
{
	const char *pos = text;
	uint64_t va = 0;

	for (uint8_t value; (value = hex_values[(uint8_t)*pos]); pos++) {
		if (va >> 60)
			return NULL;
		va = va << 4 | (value - 1U);
	}
	*va_out = va;
	return pos > text ? pos : NULL;
}

static inline const char *skip_blanks(const char *text)
{
	while (*text == ' ' || *text == '\t' || *text == '\r')
		text++;
	return text;
}

/* Takes an address up to @end_char; returns behind that, NULL when there is something else. */
static inline const char *take_address(const char *text, char end_char, uint64_t *va_out)
{
	text = skip_blanks(text);
	if (text[0] == '0' && (text[1] | 0x20) == 'x')
		text += 2;
	text = take_digits(text, va_out);
	if (text && *text != end_char)
		text = skip_blanks(text);
	return text && *text == end_char ? text + 1 : NULL;
}

bool sym_parse_address(const char *text, uint64_t *va_out)
{
	return take_address(text, '\0', va_out);
}

/*
 * Takes the line at @line, which a newline ends, into the query and returns
 * where the next one starts. As addr2line, each line has an answer, so that a
 * script stays in step.
 */
static const char *take_line(struct sym_query *query, const char *line)
{
	size_t i = query->cnt++;
	const char *next = take_address(line, '\n', &query->vas[i]);

	query->is_address[i] = next;
	if (next)
		return next;
	query->vas[i] = 0;
	return (const char *)rawmemchr(line, '\n') + 1;
}

/* Finds a piece's answers. 0, GJ_EXIT_FAILED when a line was no address, or -ENOMEM. */
static int answer_piece(struct sym *sym, struct sym_query *query, struct piece *piece)
{
	const char *end = piece->bytes + piece->size_bytes, *pos;
	int status = 0;

	if (end[-1] != '\n')
		piece->bytes[piece->size_bytes++] = '\n', end++;
	query->cnt = 0;
	/* At most one line a byte; what is not used of the room is never touched. */
	if (sym_query_reserve(query, piece->size_bytes))
		return -ENOMEM;
	for (pos = piece->bytes; pos < end;)
		pos = take_line(query, pos);
	for (size_t i = 0; i < query->cnt && !status; i++)
		status = query->is_address[i] ? 0 : GJ_EXIT_FAILED;
	return sym_query_answer(query, sym) ? -ENOMEM : status;
}

/* Writes in turn. Without memory or with a full disk there is no sense in going on. */
static void write_piece(struct input *input, struct sym_query *query, uint64_t number, int status)
{
	pthread_mutex_lock(&input->write_lock);
	while (input->written_cnt != number)
		pthread_cond_wait(&input->written, &input->write_lock);
	if (status >= 0 && sym_query_print(query, &input->sym->opt))
		status = -ENOMEM;
	if (status < 0)
		input->status = gj_cmd_fail("out of memory");
	else if (status > 0)
		input->status = status;
	if (fflush(stdout) || ferror(stdout) || status < 0)
		input->is_stopped = true;
	input->written_cnt++;
	pthread_cond_broadcast(&input->written);
	pthread_mutex_unlock(&input->write_lock);
}

static void *answer_pieces(void *arg);

/* Helpers for a long list; without them it takes longer and that is all. */
static void start_threads(struct input *input)
{
	cpu_set_t cpus;
	int cnt = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);

	while (input->thread_cnt + 1 < MAX_THREADS && input->thread_cnt + 1 < cnt &&
	       !pthread_create(&input->threads[input->thread_cnt], NULL, answer_pieces, input))
		input->thread_cnt++;
}

static void *answer_pieces(void *arg)
{
	struct input *input = arg;
	struct sym_query query = { 0 };
	struct piece *piece = malloc(sizeof(*piece));

	while (piece && read_piece(input, piece)) {
		if (piece->number == 0 && piece->size_bytes > PIECE_BYTES / 2)
			start_threads(input);
		write_piece(input, &query, piece->number, answer_piece(input->sym, &query, piece));
	}
	sym_query_deinit(&query);
	free(piece);
	return piece ? input : NULL;
}

int sym_print_input(struct sym *sym)
{
	struct input *input = calloc(1, sizeof(*input));
	int status;

	if (!input)
		return gj_cmd_fail("out of memory");
	input->sym = sym;
	pthread_mutex_init(&input->read_lock, NULL);
	pthread_mutex_init(&input->write_lock, NULL);
	pthread_cond_init(&input->written, NULL);
	status = answer_pieces(input) ? 0 : gj_cmd_fail("out of memory");
	for (int i = 0; i < input->thread_cnt; i++)
		pthread_join(input->threads[i], NULL);
	status = input->status ? input->status : status;
	free(input);
	return status;
}
