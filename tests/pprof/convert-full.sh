#!/bin/sh
# gojitter pprof with every Go release's pprof and compiler.
GJ_PPROF_TOOLS='1.19 1.21 1.22 1.23 1.24 1.25 newest' GJ_PGO='1.21 1.22 1.23 1.24 1.25 1.26 1.27' \
	GJ_PGO_ALL=1 GJ_PGO_KINDS='dwarf user' GJ_PERFS='6.1 6.12 7.3' exec tests/pprof/convert.sh
