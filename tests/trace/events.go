// Does what can be counted one by one, and says how often: goroutines that end, waits
// of known reasons, cycles of the garbage collector. With an argument under Go's own
// tracer, whose output goes to that file.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/trace"
	"sync"
	"time"
)

const (
	shortCnt = 200
	sleepCnt = 20
	pingCnt  = 100
	gcCnt    = 5
)

//go:noinline
func short(done *sync.WaitGroup) { done.Done() }

//go:noinline
func sleeper(done *sync.WaitGroup) {
	for i := 0; i < sleepCnt; i++ {
		time.Sleep(time.Millisecond)
	}
	done.Done()
}

//go:noinline
func pinger(in, out chan int, done *sync.WaitGroup) {
	for i := 0; i < pingCnt; i++ {
		out <- <-in
	}
	done.Done()
}

func work() {
	var done sync.WaitGroup
	done.Add(shortCnt + 2)
	for i := 0; i < shortCnt; i++ {
		go short(&done)
	}
	go sleeper(&done)
	in, out := make(chan int), make(chan int)
	go pinger(in, out, &done)
	for i := 0; i < pingCnt; i++ {
		in <- i
		<-out
	}
	done.Wait()
	for i := 0; i < gcCnt; i++ {
		runtime.GC()
	}
}

func traced() {
	if len(os.Args) == 1 {
		work()
		return
	}
	file, err := os.Create(os.Args[1])
	if err == nil {
		err = trace.Start(file)
	}
	if err != nil {
		panic(err)
	}
	work()
	trace.Stop()
	file.Close()
}

func main() {
	debug.SetGCPercent(-1)
	runtime.GC()
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.Encode("ready")
	in.ReadString('\n')
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	traced()
	runtime.ReadMemStats(&after)
	out.Encode(map[string]interface{}{
		"ended": shortCnt + 2, "sleeps": sleepCnt, "pings": pingCnt, "cycles": after.NumGC - before.NumGC,
	})
	in.ReadString('\n')
}
