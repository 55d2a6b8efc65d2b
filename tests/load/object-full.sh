#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# tests/load/object.sh with every feature that hooks, on every release there is.
GJ_OBJECT_VERSIONS='1.19 1.21 1.22 1.23 1.24 1.25 1.26 1.27' GJ_OBJECT_FEATURES='gc alloc netpoll syscalls'
export GJ_OBJECT_VERSIONS GJ_OBJECT_FEATURES
exec tests/load/object.sh
