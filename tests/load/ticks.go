// Ticks: a goroutine collects garbage and sleeps, and another says that it is alive.
package main

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

//go:noinline
func worker() {
	for {
		runtime.GC()
		time.Sleep(20 * time.Millisecond)
	}
}

func main() {
	go worker()
	for tick := 0; ; tick++ {
		fmt.Fprintln(os.Stdout, tick)
		time.Sleep(20 * time.Millisecond)
	}
}
