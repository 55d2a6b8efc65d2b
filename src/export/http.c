/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The exporter's HTTP side, by libmicrohttpd: one path, one thread. The library is loaded
 * when something is served: with what it needs in turn it makes every start of gojitter
 * twice as dear.
 */
#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "export/export.h"

#define MAX_CONNECTIONS 32
#define TIMEOUT_SECONDS 10 /* of a client that says nothing */

/* Prometheus' text format, docs/instrumenting/exposition_formats.md. */
#define TEXT_FORMAT "text/plain; version=0.0.4; charset=utf-8"

#define LIBRARY "libmicrohttpd.so.12" /* what <microhttpd.h> describes, 0.9.67 and later */

static struct {
	void *library; /* never closed */
	typeof(&MHD_start_daemon) start_daemon;
	typeof(&MHD_stop_daemon) stop_daemon;
	typeof(&MHD_get_daemon_info) get_daemon_info;
	typeof(&MHD_create_response_from_buffer) create_response_from_buffer;
	typeof(&MHD_add_response_header) add_response_header;
	typeof(&MHD_queue_response) queue_response;
	typeof(&MHD_destroy_response) destroy_response;
} mhd;

static int load_library(struct gj_diag *diag)
{
	static const struct {
		const char *name;
		void *to;
	} functions[] = {
		{ "MHD_start_daemon", &mhd.start_daemon },
		{ "MHD_stop_daemon", &mhd.stop_daemon },
		{ "MHD_get_daemon_info", &mhd.get_daemon_info },
		{ "MHD_create_response_from_buffer", &mhd.create_response_from_buffer },
		{ "MHD_add_response_header", &mhd.add_response_header },
		{ "MHD_queue_response", &mhd.queue_response },
		{ "MHD_destroy_response", &mhd.destroy_response },
	};

	mhd.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!mhd.library)
		return gj_diag_set(diag, -EOPNOTSUPP, "--listen wants " LIBRARY ": %s", dlerror());
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		void *function = dlsym(mhd.library, functions[i].name);

		if (!function)
			return gj_diag_set(diag, -EOPNOTSUPP, "%s", dlerror());
		memcpy(functions[i].to, &function, sizeof(function));
	}
	return 0;
}

struct gj_exporter {
	struct MHD_Daemon *daemon;
	const char *instance; /* the caller's; NULL: all */
};

/* Takes @text over, which malloc made. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status, char *text,
			      size_t text_bytes, const char *type)
{
	struct MHD_Response *response =
		mhd.create_response_from_buffer(text_bytes, text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response) {
		free(text);
		return MHD_NO;
	}
	mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		mhd.add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = mhd.queue_response(connection, status, response);
	mhd.destroy_response(response);
	return result;
}

static enum MHD_Result answer_line(struct MHD_Connection *connection, unsigned int status,
				   const char *line)
{
	char *text;
	int bytes = asprintf(&text, "%s\n", line);

	return bytes < 0 ? MHD_NO : answer(connection, status, text, (size_t)bytes,
					   "text/plain; charset=utf-8");
}

static enum MHD_Result answer_metrics(const struct gj_exporter *exporter,
				      struct MHD_Connection *connection)
{
	struct gj_buf text = { 0 };
	struct gj_diag diag = { 0 };
	int err = gj_export_text(exporter->instance, &text, &diag);

	if (!err)
		return answer(connection, MHD_HTTP_OK, text.data, text.size_bytes, TEXT_FORMAT);
	gj_buf_deinit(&text);
	return answer_line(connection,
			   err == -EAGAIN ? MHD_HTTP_SERVICE_UNAVAILABLE :
					    MHD_HTTP_INTERNAL_SERVER_ERROR,
			   diag.text);
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_bytes, void **seen)
{
	static char begun;

	(void)version;
	(void)upload;
	/* The first call is for the head; what comes as a body is not looked at. */
	if (!*seen) {
		*seen = &begun;
		return MHD_YES;
	}
	if (*upload_bytes) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return answer_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD only");
	if (!strcmp(url, "/metrics"))
		return answer_metrics(data, connection);
	if (!strcmp(url, "/"))
		return answer_line(connection, MHD_HTTP_OK, "gojitter export: see /metrics");
	return answer_line(connection, MHD_HTTP_NOT_FOUND, "there is only /metrics");
}

/* Takes "ADDR:PORT" apart. *@found_out is the caller's, for freeaddrinfo(3). */
static int resolve(const char *listen, struct addrinfo **found_out, struct gj_diag *diag)
{
	const struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM,
	};
	const char *colon = strrchr(listen, ':');
	char host[256] = "";
	size_t bytes = colon ? (size_t)(colon - listen) : 0;
	int err;

	/* getaddrinfo(3) takes the lower 16 bits of any number. */
	if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    strlen(colon + 1) > 5 || atoi(colon + 1) > 65535 || bytes >= sizeof(host))
		return gj_diag_set(diag, -EINVAL, "%s: no address; ADDR:PORT, [ADDR]:PORT or :PORT",
				   listen);
	if (bytes > 1 && listen[0] == '[' && colon[-1] == ']')
		memcpy(host, listen + 1, bytes - 2);
	else
		memcpy(host, listen, bytes);
	err = getaddrinfo(host[0] ? host : NULL, colon + 1, &hints, found_out);
	return err ? gj_diag_set(diag, -EINVAL, "%s: %s", listen, gai_strerror(err)) : 0;
}

static struct MHD_Daemon *listen_at(const struct addrinfo *address, struct gj_exporter *exporter)
{
	unsigned int flags = MHD_USE_AUTO_INTERNAL_THREAD;

	if (address->ai_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	return mhd.start_daemon(flags, 0, NULL, NULL, on_request, exporter,
				MHD_OPTION_SOCK_ADDR, address->ai_addr,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned int)MAX_CONNECTIONS,
				MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)TIMEOUT_SECONDS,
				MHD_OPTION_END);
}

int gj_exporter_open(const char *listen, const char *instance, struct gj_exporter **exporter_out,
		     unsigned int *port_out, struct gj_diag *diag)
{
	struct gj_exporter *exporter = calloc(1, sizeof(*exporter));
	const union MHD_DaemonInfo *info;
	struct addrinfo *found = NULL;
	int err = exporter ? resolve(listen, &found, diag) : gj_diag_set(diag, -ENOMEM, "out of memory");

	if (!err)
		err = load_library(diag);
	for (struct addrinfo *at = err ? NULL : found; at && !exporter->daemon; at = at->ai_next) {
		exporter->instance = instance;
		errno = 0;
		exporter->daemon = listen_at(at, exporter);
	}
	if (!err && !exporter->daemon)
		err = gj_diag_set(diag, errno ? -errno : -EADDRNOTAVAIL, "%s: cannot listen there: %s",
				  listen, strerror(errno ? errno : EADDRNOTAVAIL));
	if (found)
		freeaddrinfo(found);
	if (err) {
		free(exporter);
		return err;
	}
	info = mhd.get_daemon_info(exporter->daemon, MHD_DAEMON_INFO_BIND_PORT);
	*port_out = info ? info->port : 0;
	*exporter_out = exporter;
	return 0;
}

void gj_exporter_close(struct gj_exporter *exporter)
{
	if (!exporter)
		return;
	mhd.stop_daemon(exporter->daemon);
	free(exporter);
}
