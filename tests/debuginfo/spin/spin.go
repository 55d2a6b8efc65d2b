// SPDX-License-Identifier: GPL-2.0

// Spin burns processor time in functions that the compiler inlines into one
// another, for a number of seconds; 0 means until it is killed. It prints
// "ready" first. Each round calls marker, which is never inlined.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

var sink uint64

func step(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	return x ^ x<<17
}

func twice(x uint64) uint64 { return step(x) + step(x+1) }

func mix(x uint64) uint64 {
	y := twice(x)
	return y*31 + twice(y)
}

//go:noinline
func burn(rounds int) uint64 {
	x := uint64(rounds) | 1
	for i := 0; i < rounds; i++ {
		x = mix(x)
	}
	return x
}

//go:noinline
func marker(round int) { sink += uint64(round) }

type worker struct{ names []string }

//go:noinline
func (w *worker) run(rounds int) {
	w.names = append(w.names[:0], strings.Repeat("x", rounds&15))
	sink += burn(rounds) + uint64(len(w.names))
}

func main() {
	seconds := 0
	if len(os.Args) > 1 {
		seconds, _ = strconv.Atoi(os.Args[1])
	}
	fmt.Println("ready")
	w := &worker{}
	each := func(n int) { w.run(n) }
	begin := time.Now()
	for round := 0; seconds == 0 || time.Since(begin) < time.Duration(seconds)*time.Second; round++ {
		marker(round)
		each(1000000)
	}
}
