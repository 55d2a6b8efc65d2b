// SPDX-License-Identifier: GPL-2.0

// Goroutines that stay what they are, in numbers given; on each line of standard
// input it prints what runtime.Stack says of all of them, and a line "END".
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

var (
	never = make(chan int)
	other = make(chan int)
	mutex sync.Mutex
	cond  = sync.NewCond(&sync.Mutex{})
	wait  sync.WaitGroup
)

//go:noinline
func receiver() { <-never }

//go:noinline
func selector() {
	select {
	case <-never:
	case <-other:
	}
}

//go:noinline
func sleeper() { time.Sleep(time.Hour) }

//go:noinline
func locker() { mutex.Lock() }

//go:noinline
func waiter() { wait.Wait() }

//go:noinline
func reader(conn net.Conn) {
	var buf [1]byte
	conn.Read(buf[:])
}

//go:noinline
func deep(n int) {
	if n > 0 {
		deep(n - 1)
	} else {
		receiver()
	}
	runtime.KeepAlive(&n)
}

func start(n int, f func()) {
	for i := 0; i < n; i++ {
		go f()
	}
}

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	mutex.Lock()
	wait.Add(1)
	start(n, receiver)
	start(n, selector)
	start(n, sleeper)
	start(n, locker)
	start(n, waiter)
	start(3, func() { deep(30) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	for i := 0; i < 4; i++ {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			panic(err)
		}
		go reader(conn)
	}
	time.Sleep(200 * time.Millisecond)
	fmt.Println("READY")
	lines := bufio.NewScanner(os.Stdin)
	buf := make([]byte, 64<<20)
	for lines.Scan() {
		os.Stdout.Write(buf[:runtime.Stack(buf, true)])
		fmt.Println("END")
	}
}
