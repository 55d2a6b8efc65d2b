#!/bin/sh
# The two-stack sampler with every release and in every way.
GJ_LONG=1 exec tests/record/sampler.sh
