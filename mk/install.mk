# SPDX-License-Identifier: GPL-2.0
# make install: where each part goes.
