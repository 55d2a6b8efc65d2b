// SPDX-License-Identifier: GPL-2.0

// Trips switches between two goroutines on one thread as fast as it can, and prints,
// a hundred round trips at a time, how many and the nanoseconds they took.
package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

func main() {
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(1)
	ping, pong := make(chan int), make(chan int)
	go func() {
		for x := range ping {
			pong <- x
		}
	}()
	const trips = 100
	for {
		begin := time.Now()
		for i := 0; i < trips; i++ {
			ping <- i
			<-pong
		}
		fmt.Println(trips, time.Since(begin).Nanoseconds())
	}
}
