#!/bin/sh
# Copies of recordings of every Go release at hand.
exec tests/inject/inject.sh 1.19:pie 1.21:exe 1.22:exe 1.23:pie 1.24:exe 1.25:exe 1.26:pie 1.27:exe
