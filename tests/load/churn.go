// Churn: two goroutines hand a processor to each other, as fast as they can ("busy"), a
// few thousand times a second ("paced"), or not until SIGUSR1 has come ("quiet"). Ten
// times a second a line says how often they have and the processor time of the process, in ns.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

var switches atomic.Int64

//go:noinline
func yields() {
	for {
		switches.Add(1)
		runtime.Gosched()
	}
}

func paced() {
	there, back := make(chan int), make(chan int)
	go func() {
		for {
			back <- <-there
		}
	}()
	for {
		for i := 0; i < 20; i++ {
			there <- i
			<-back
			switches.Add(2)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func cpu() int64 {
	var usage syscall.Rusage

	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func main() {
	runtime.GOMAXPROCS(1)
	come := make(chan os.Signal, 1)
	signal.Notify(come, syscall.SIGUSR1)
	switch os.Args[1] {
	case "busy":
		come <- syscall.SIGUSR1
	case "paced":
		go paced()
	}
	go func() {
		<-come
		go yields()
		go yields()
	}()
	for {
		fmt.Println(switches.Load(), cpu())
		time.Sleep(100 * time.Millisecond)
	}
}
