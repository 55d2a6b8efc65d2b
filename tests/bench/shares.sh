#!/bin/sh
# How whole stacks are and how long it takes to print them, gojitter.so beside
# stock perf of three releases (tests/bench/shares.py).
exec tests/bench/shares.py
