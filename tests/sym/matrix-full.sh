#!/bin/sh
# Every variant with every release; see tests/sym/matrix.sh.
exec tests/sym/matrix.sh --full
