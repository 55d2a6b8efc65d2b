// SPDX-License-Identifier: GPL-2.0

// Crowd starts goroutines that stay what they are, and says how many of which:
//
//	crowd N              N of each kind that costs nothing
//	crowd swap           goroutines that are switched all the time (busy.go)
//	crowd move           such, and goroutines whose stacks grow and shrink
//	crowd spin           goroutines that are asked to give up their threads
//
//	< FUNCTION NUMBER    how many goroutines were started with main.FUNCTION
//	< ready              all of them are where they stay
//	> ticks              (standard input) prints how often a millisecond has passed
//	> gc                 collects garbage, then "collected"
//	> end                those of main.leaver end, then "ended"
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	never   = make(chan int)
	other   = make(chan int)
	full    = make(chan int)
	leave   = make(chan int)
	nothing chan int
	mutex   sync.Mutex
	rw      sync.RWMutex
	cond    = sync.NewCond(&sync.Mutex{})
	wait    sync.WaitGroup
	left    sync.WaitGroup
	conns   = make(chan net.Conn)
	pipe    [2]int
	ticks   int64
	sink    int
)

//go:noinline
func receiver() { <-never }

//go:noinline
func sender() { full <- 1 }

//go:noinline
func nilReceiver() { <-nothing }

//go:noinline
func selector() {
	select {
	case <-never:
	case <-other:
	}
}

//go:noinline
func emptySelector() { select {} }

//go:noinline
func sleeper() { time.Sleep(time.Hour) }

//go:noinline
func locker() { mutex.Lock() }

//go:noinline
func rwLocker() { rw.RLock() }

//go:noinline
func conder() {
	cond.L.Lock()
	cond.Wait()
}

//go:noinline
func waiter() { wait.Wait() }

//go:noinline
func leaver() {
	defer left.Done()
	<-leave
}

//go:noinline
func reader() {
	var buf [1]byte
	(<-conns).Read(buf[:])
}

// In a syscall for good.
//
//go:noinline
func rawReader() {
	var buf [1]byte
	syscall.Read(pipe[0], buf[:])
}

//go:noinline
func down(n int) int {
	if n == 0 {
		receiver()
		return 0
	}
	return down(n-1) + n
}

//go:noinline
func deep() { sink += down(20) }

//go:noinline
func deeper() { sink += down(60) }

//go:noinline
func spinner() {
	for {
		sink++
	}
}

//go:noinline
func ticker() {
	for {
		time.Sleep(time.Millisecond)
		atomic.AddInt64(&ticks, 1)
	}
}

// Waits where it looks after a fault.
//
//go:noinline
func faulty() {
	defer func() {
		recover()
		receiver()
	}()
	sink += fault(nil)
}

//go:noinline
func fault(at *int) int { return *at }

func start(n int, name string, f func()) {
	for i := 0; i < n; i++ {
		go f()
	}
	fmt.Println(name, n)
}

func connect(n int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	for i := 0; i < n; i++ {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			panic(err)
		}
		conns <- conn
	}
}

func still(n int) {
	mutex.Lock()
	rw.Lock()
	wait.Add(1)
	left.Add(n)
	if err := syscall.Pipe(pipe[:]); err != nil {
		panic(err)
	}
	start(n, "receiver", receiver)
	start(n, "sender", sender)
	start(n, "nilReceiver", nilReceiver)
	start(n, "selector", selector)
	start(n, "emptySelector", emptySelector)
	start(n, "sleeper", sleeper)
	start(n, "locker", locker)
	start(n, "rwLocker", rwLocker)
	start(n, "conder", conder)
	start(n, "waiter", waiter)
	start(n, "leaver", leaver)
	start(3, "deep", deep)
	start(2, "deeper", deeper)
	start(2, "faulty", faulty)
	start(4, "reader", reader)
	start(3, "rawReader", rawReader)
	connect(4)
	start(1, "ticker", ticker)
	start(1, "spinner", spinner)
}

func main() {
	switch os.Args[1] {
	case "swap":
		swap()
	case "move":
		move()
	case "spin":
		spin()
	default:
		n, _ := strconv.Atoi(os.Args[1])
		still(n)
	}
	time.Sleep(300 * time.Millisecond)
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch lines.Text() {
		case "ticks":
			fmt.Println("ticks", atomic.LoadInt64(&ticks))
		case "gc":
			runtime.GC()
			fmt.Println("collected")
		case "end":
			close(leave)
			left.Wait()
			fmt.Println("ended")
		}
	}
}
