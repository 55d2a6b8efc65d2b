/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Symbol names as people read them.
 *
 * Go's linker escapes import paths (Go src/cmd/internal/objabi/path.go,
 * PathToPrefix): control characters, blanks, '%', '"', bytes above 0x7e and
 * the dots of the last path element become %xx. Assembly symbols carry their
 * ABI as a suffix. Everything else about a name is for the reader to choose.
 */
#include <ctype.h>
#include <string.h>

#include "demangle/demangle.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at @text stands for, -1 when PathToPrefix would not have written it. */
static int escaped_byte(const char *text)
{
	int high = text[0] == '%' ? hex_digit(text[1]) : -1;
	int low = high >= 0 ? hex_digit(text[2]) : -1;
	int byte = high * 16 + low;

	if (high < 0 || low < 0)
		return -1;
	return byte && (byte <= ' ' || byte == '.' || byte == '%' || byte == '"' || byte >= 0x7f) ?
		       byte :
		       -1;
}

static size_t drop_suffix(const char *name, size_t size_bytes, const char *suffix)
{
	size_t cnt = strlen(suffix);

	if (size_bytes > cnt && !memcmp(name + size_bytes - cnt, suffix, cnt))
		return size_bytes - cnt;
	return size_bytes;
}

/* Past the bracket that closes the one at @pos, or @end when none does. */
static const char *skip_brackets(const char *pos, const char *end)
{
	unsigned int depth = 0;

	for (; pos < end; pos++) {
		if (*pos == '[')
			depth++;
		else if (*pos == ']' && --depth == 0)
			return pos + 1;
	}
	return end;
}

/* Type arguments stand behind a name; array types and type: symbols have brackets elsewhere. */
static bool opens_type_arguments(const char *name, const char *pos)
{
	unsigned char before = pos > name ? (unsigned char)pos[-1] : 0;

	return *pos == '[' && (isalnum(before) || before == '_' || before >= 0x80) &&
	       strncmp(name, "type:", 5) && strncmp(name, "type..", 6) && strncmp(name, "go:", 3);
}

/* What the compiler's own suffixes mean (Go src/cmd/compile/internal/ir/func.go, closureName). */
struct word {
	const char *suffix; /* followed by a number when numbered */
	bool numbered;
	const char *text;
};

static const struct word words[] = {
	{ ".func", true, "{closure#" },
	{ ".gowrap", true, "{go#" },
	{ ".deferwrap", true, "{defer#" },
	{ "-range", true, "{range#" },
	{ "-fm", false, "{method-value}" },
	{ ".glob.", false, ".{package-var}" }, /* a closure in a variable's initial value */
};

static bool ends_piece(char c)
{
	return !c || c == '.' || c == '-' || c == '[';
}

/* A closure inside a closure is numbered without a word: main.main.func1.2. */
static size_t add_nested(const char *pos, const char *end, struct gj_buf *buf)
{
	size_t cnt = 1;

	while (*pos == '.' && pos + cnt < end && isdigit((unsigned char)pos[cnt]))
		cnt++;
	if (cnt == 1 || (pos + cnt < end && !ends_piece(pos[cnt])))
		return 0;
	gj_buf_str(buf, "{closure#");
	gj_buf_add(buf, pos + 1, cnt - 1);
	gj_buf_chr(buf, '}');
	return cnt;
}

/* The suffix in words; returns the bytes of @pos it used, 0 when there is none. */
static size_t add_word(const char *pos, const char *end, struct gj_buf *buf)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t cnt = strlen(words[i].suffix), digits = 0;

		if ((size_t)(end - pos) < cnt || memcmp(pos, words[i].suffix, cnt))
			continue;
		while (words[i].numbered && pos + cnt + digits < end &&
		       isdigit((unsigned char)pos[cnt + digits]))
			digits++;
		if ((words[i].numbered && !digits) ||
		    (pos + cnt + digits < end && !ends_piece(pos[cnt + digits])))
			continue;
		gj_buf_str(buf, words[i].text);
		gj_buf_add(buf, pos + cnt, digits);
		if (words[i].numbered)
			gj_buf_chr(buf, '}');
		return cnt + digits;
	}
	return 0;
}

/* cgo's bridge to a C function: main._Cfunc_puts (Go src/cmd/cgo/out.go). */
static size_t add_cgo(const char *pos, const char *end, struct gj_buf *buf)
{
	static const char prefix[] = "._Cfunc_";
	size_t cnt = sizeof(prefix) - 1;

	if ((size_t)(end - pos) <= cnt || memcmp(pos, prefix, cnt))
		return 0;
	gj_buf_str(buf, ".C.");
	return cnt;
}

/* Appends the character @code in UTF-8. */
static void add_utf8(struct gj_buf *buf, uint32_t code)
{
	if (code < 0x80) {
		gj_buf_chr(buf, (char)code);
		return;
	}
	if (code < 0x800) {
		gj_buf_chr(buf, (char)(0xc0 | code >> 6));
	} else if (code < 0x10000) {
		gj_buf_chr(buf, (char)(0xe0 | code >> 12));
		gj_buf_chr(buf, (char)(0x80 | (code >> 6 & 0x3f)));
	} else {
		gj_buf_chr(buf, (char)(0xf0 | code >> 18));
		gj_buf_chr(buf, (char)(0x80 | (code >> 12 & 0x3f)));
		gj_buf_chr(buf, (char)(0x80 | (code >> 6 & 0x3f)));
	}
	gj_buf_chr(buf, (char)(0x80 | (code & 0x3f)));
}

/*
 * What gccgo's "_" code at @pos stands for (gcc/go/gofrontend/go-encode-id.cc,
 * go_encode_id): one of a list, or _xXX, _uXXXX, _UXXXXXXXX. Returns the bytes
 * it takes, 0 when there is none.
 */
static size_t gccgo_code(const char *pos, const char *end, uint32_t *code_out)
{
	static const char codes[] = "_0123456789abc", bytes[] = "_./*,{}[]()\" ;";
	const char *at = pos[0] == '_' && end - pos > 1 ? strchr(codes, pos[1]) : NULL;
	size_t digits;

	if (at) {
		*code_out = (unsigned char)bytes[at - codes];
		return 2;
	}
	if (pos[0] != '_' || end - pos < 2)
		return 0;
	digits = pos[1] == 'x' ? 2 : pos[1] == 'u' ? 4 : pos[1] == 'U' ? 8 : 0;
	if (!digits || (size_t)(end - pos) < 2 + digits)
		return 0;
	*code_out = 0;
	for (size_t i = 0; i < digits; i++) {
		if (hex_digit(pos[2 + i]) < 0)
			return 0;
		*code_out = *code_out << 4 | (uint32_t)hex_digit(pos[2 + i]);
	}
	/* No name holds a NUL or a half of a UTF-16 pair. */
	return *code_out && *code_out < 0x110000 && *code_out >> 11 != 0xd800 >> 11 ? 2 + digits :
										       0;
}

static void format_gccgo(const char *pos, const char *end, struct gj_buf *buf)
{
	while (pos < end) {
		uint32_t code;
		size_t used = gccgo_code(pos, end, &code);

		if (used)
			add_utf8(buf, code);
		else
			gj_buf_chr(buf, *pos);
		pos += used ? used : 1;
	}
}

static void format(const char *name, const char *end, unsigned int flags, struct gj_buf *buf)
{
	const char *pos = name, *plain = name, *word_end = NULL;

	while (pos < end) {
		int byte = *pos == '%' && end - pos >= 3 ? escaped_byte(pos) : -1;
		size_t used = 0;

		if (byte < 0 && *pos != '[' && *pos != '.' && *pos != '-') {
			pos++;
			continue;
		}
		gj_buf_add(buf, plain, (size_t)(pos - plain));
		plain = pos;
		if (byte >= 0) {
			gj_buf_chr(buf, (char)byte);
			used = 3;
		} else if ((flags & GJ_NAME_SHORT) && opens_type_arguments(name, pos)) {
			gj_buf_str(buf, "[...]");
			used = (size_t)(skip_brackets(pos, end) - pos);
		} else if (flags & GJ_NAME_READABLE) {
			used = pos == word_end ? add_nested(pos, end, buf) : 0;
			if (!used)
				used = add_word(pos, end, buf);
			word_end = used ? pos + used : NULL;
			if (!used)
				used = add_cgo(pos, end, buf);
		}
		plain += used;
		pos += used ? used : 1;
	}
	gj_buf_add(buf, plain, (size_t)(pos - plain));
}

void gj_name_format(const char *name, unsigned int flags, struct gj_buf *buf)
{
	size_t size_bytes = drop_suffix(name, strlen(name), ".abi0");

	size_bytes = drop_suffix(name, size_bytes, ".abiinternal");
	if (flags & GJ_NAME_GCCGO)
		format_gccgo(name, name + size_bytes, buf);
	else if (flags || memchr(name, '%', size_bytes))
		format(name, name + size_bytes, flags, buf);
	else /* nearly every name */
		gj_buf_add(buf, name, size_bytes);
}
