#!/bin/sh
# Goroutines of samples with every release, each built in every way.
GJ_LONG=1 exec tests/record/goid.sh
