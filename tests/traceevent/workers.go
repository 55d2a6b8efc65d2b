// Goroutines of several kinds that hand the processor to each other. Each
// prints its own ID and the function it was started with, as the runtime
// knows them.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

var (
	done   sync.WaitGroup
	output sync.Mutex
)

type server struct{ name string }

// report prints "ID FUNCTION": the stack's outermost function is the one the
// goroutine started with.
func report() {
	buf := make([]byte, 16384)
	lines := strings.Split(string(buf[:runtime.Stack(buf, false)]), "\n")
	var id int
	fmt.Sscanf(lines[0], "goroutine %d ", &id)
	start := ""
	for _, line := range lines[1:] {
		if strings.HasPrefix(line, "created by ") {
			break
		}
		if line != "" && line[0] != '\t' {
			start = line[:strings.LastIndex(line, "(")]
		}
	}
	output.Lock()
	fmt.Println(id, start)
	output.Unlock()
}

func switches() {
	report()
	for i := 0; i < 20; i++ {
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
	done.Done()
}

//go:noinline
func worker(n int) { switches(); runtime.KeepAlive(n) }

//go:noinline
func (s *server) serve(n int) { switches(); runtime.KeepAlive(n) }

// wait reads one byte, when the program was told to wait for its user.
func wait() {
	if len(os.Args) > 1 {
		os.Stdin.Read(make([]byte, 1))
	}
}

func main() {
	wait()
	s := &server{"one"}
	for i := 0; i < 3; i++ {
		done.Add(3)
		go worker(i)
		go s.serve(i)
		go func() { switches() }()
	}
	done.Wait()
	wait()
}
