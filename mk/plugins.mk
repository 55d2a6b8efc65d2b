# SPDX-License-Identifier: GPL-2.0
# The plugins: what perf and libtraceevent load.

PLUGINS :=
