#!/bin/sh
# Polls of a program that sleeps, waits on a pipe and naps known numbers of times.
. tests/tap.sh
. tests/trace/rare.sh
rare_test netpoll
tap_done
