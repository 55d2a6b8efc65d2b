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

# DWARF, for src/goroutine/offsets_dwarf.c.
LDLIBS += -ldw
