#!/bin/sh
# Every variant with every release; see tests/debuginfo/matrix.sh.
exec tests/debuginfo/matrix.sh --full
