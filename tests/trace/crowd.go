// SPDX-License-Identifier: GPL-2.0

// Crowd does what its standard input says, a line each, and answers each with a line.
//
//	create N SECONDS  starts N goroutines a second, each of which ends; answers how many it started
//	hold N            starts N goroutines that wait for good
//	states            has each of its actors do something else; answers "DOES COUNT ...", which
//	                  holds until the next line
//	exec              becomes itself anew; nothing is answered
//
// Prints "ready" first.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

//go:noinline
func brief(done *sync.WaitGroup) { done.Done() }

func create(each, seconds int) int {
	var done sync.WaitGroup
	started := 0
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		due := int(time.Since(begin) * time.Duration(each) / time.Second)
		if due > each*seconds {
			due = each * seconds
		}
		for ; started < due; started++ {
			done.Add(1)
			go brief(&done)
		}
		if started == each*seconds {
			done.Wait()
			return started
		}
	}
}

//go:noinline
func held(begun *sync.WaitGroup) {
	begun.Done()
	select {}
}

func hold(cnt int) {
	var begun sync.WaitGroup
	begun.Add(cnt)
	for i := 0; i < cnt; i++ {
		go held(&begun)
	}
	begun.Wait()
}

// What actors can do until they are told to stop.
const (
	receive = iota
	choose
	condition
	lock
	spin
	doings
)

var names = [doings]string{"receive", "select", "condition", "lock", "spin"}

var (
	pending  [doings]chan bool // told to do it
	stop     = make(chan bool)
	mutex    sync.Mutex
	cond     = sync.NewCond(&mutex)
	contend  sync.Mutex
	spinning int32
	over     bool // under mutex
	idle     sync.WaitGroup
)

//go:noinline
func actor(does int) {
	runtime.LockOSThread()
	switch does {
	case receive:
		<-stop
	case choose:
		select {
		case <-stop:
		case <-pending[0]:
		}
	case condition:
		mutex.Lock()
		for !over {
			cond.Wait()
		}
		mutex.Unlock()
	case lock:
		contend.Lock()
		contend.Unlock()
	case spin:
		for atomic.LoadInt32(&spinning) == 1 {
		}
	}
	idle.Done()
}

func states(round int) string {
	// The last ones end.
	close(stop)
	mutex.Lock()
	over = true
	cond.Broadcast()
	mutex.Unlock()
	atomic.StoreInt32(&spinning, 0)
	if round > 0 {
		contend.Unlock()
	}
	idle.Wait()
	stop, over = make(chan bool), false
	contend.Lock()
	atomic.StoreInt32(&spinning, 1)
	said := ""
	for does := 0; does < doings; does++ {
		cnt := 1 + (round*7+does*3)%5
		if does == spin {
			cnt = round % 2 // it takes a processor
		}
		idle.Add(cnt)
		for i := 0; i < cnt; i++ {
			go actor(does)
		}
		said += fmt.Sprint(names[does], " ", cnt, " ")
	}
	return said
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	for round := 0; lines.Scan(); {
		var command string
		var cnt, seconds int
		fmt.Sscan(lines.Text(), &command, &cnt, &seconds)
		switch command {
		case "create":
			fmt.Println(create(cnt, seconds))
		case "hold":
			hold(cnt)
			fmt.Println(cnt)
		case "states":
			fmt.Println(states(round))
			round++
		case "exec":
			self, _ := os.Executable()
			panic(syscall.Exec(self, os.Args, os.Environ()))
		}
	}
}
