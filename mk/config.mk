# SPDX-License-Identifier: GPL-2.0
# Compiler flags and the libraries found on this machine.

PKG_CONFIG ?= pkg-config
probe = $(shell $(PKG_CONFIG) --exists $(1) 2>/dev/null && echo on || echo off)

WARNINGS := -Wall -Wextra -Wformat-signedness -Wmissing-prototypes -Wstrict-prototypes \
	-Wno-missing-field-initializers
ifneq ($(CI),)
WARNINGS += -Werror
endif
BASE_CFLAGS := -std=gnu11 $(WARNINGS) -D_GNU_SOURCE -DGJ_VERSION='"$(VERSION)"' -Isrc -Iinclude -Ibpf -fPIC
LDLIBS := -lelf -lZydis -lz

HAVE_TRACEEVENT := $(call probe,libtraceevent)
HAVE_MICROHTTPD := $(call probe,libmicrohttpd)

# DWARF, for src/goroutine/offsets_dwarf.c.
LDLIBS += -ldw

# What a build cannot do without, as PACKAGE:HEADER; none of it is looked for where
# nothing is built.
PROTOC_C ?= protoc-c
BUILD_NEEDS := libc6-dev:stdio.h libelf-dev:gelf.h libdw-dev:elfutils/libdw.h zlib1g-dev:zlib.h \
	libzydis-dev:Zydis/Zydis.h libprotobuf-c-dev:protobuf-c/protobuf-c.h
BUILD_NEEDS += $(if $(filter test test-asan unit-bins asan-bins run-%,$(MAKECMDGOALS)),libcmocka-dev:cmocka.h)
BUILDS_NOTHING := deps demo demo-deps check check-long bench clean help uninstall
ifneq ($(filter-out $(BUILDS_NOTHING),$(or $(MAKECMDGOALS),all)),)
MISSING := $(shell command -v $(firstword $(CC)) >/dev/null || { echo gcc; exit; }; \
	command -v $(PROTOC_C) >/dev/null || echo protobuf-c-compiler; \
	set -- $(subst :, ,$(BUILD_NEEDS)); while [ "$$2" ]; do \
		printf '\043if !__has_include(<%s>)\n\043error\n\043endif\n' "$$2" | \
			$(CC) -E -x c - >/dev/null 2>&1 || echo $$1; shift 2; done)
ifneq ($(MISSING),)
$(error missing: $(MISSING); run make demo, or scripts/deps.sh)
endif
endif
