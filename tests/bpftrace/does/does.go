// does does things a known number of times, once a line on standard input says so.
//
// Prints "pid N", waits, then prints for each thing how often it was done, the IDs of the
// goroutines it started, and "done". After another line its first goroutine makes garbage, so
// that it has to assist the collector; "collected". After a third it ends.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	receivers = 12
	selecters = 7
	sleeps    = 9
	cycles    = 3
	blocks    = 40
	syscalls  = 200
)

var kept [][]byte

func goid() int {
	buf := make([]byte, 64)
	id, _ := strconv.Atoi(strings.Fields(string(buf[:runtime.Stack(buf, false)]))[1])
	return id
}

func main() {
	debug.SetGCPercent(-1)
	// The collector's workers are started by the first cycle.
	runtime.GC()
	runtime.GC()
	in := bufio.NewReader(os.Stdin)
	fmt.Println("pid", os.Getpid())
	in.ReadString('\n')

	never := make(chan int)
	ids := make(chan int, receivers+selecters)
	for i := 0; i < receivers; i++ {
		go func() { ids <- goid(); <-never }()
	}
	for i := 0; i < selecters; i++ {
		go func() { ids <- goid(); select {} }()
	}
	for i := 0; i < sleeps; i++ {
		time.Sleep(20 * time.Millisecond)
	}
	for i := 0; i < blocks; i++ {
		kept = append(kept, make([]byte, 32000))
	}
	for i := 0; i < syscalls; i++ {
		syscall.Close(-1)
	}
	for i := 0; i < cycles; i++ {
		runtime.GC()
	}
	fmt.Println("receivers", receivers, "selecters", selecters, "sleeps", sleeps, "cycles", cycles,
		"blocks", blocks, "syscalls", syscalls)
	for i := 0; i < receivers+selecters; i++ {
		fmt.Println("goid", <-ids)
	}
	fmt.Println("done")
	in.ReadString('\n')

	debug.SetGCPercent(10)
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		for i := range kept {
			list := make([]*[4]*int, 1000)
			for j := range list {
				list[j] = new([4]*int)
			}
			kept[i] = make([]byte, 20000)
		}
	}
	fmt.Println("collected")
	in.ReadString('\n')
	fmt.Println("alive")
}
