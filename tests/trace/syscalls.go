// Makes known numbers of syscalls, some of known length, some whose goroutine then
// has to wait for a P.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	quick = 500
	naps  = 5
	pipes = 5
	long  = 20 * time.Millisecond
)

var spun uint64

func spin(until *int32) {
	for atomic.LoadInt32(until) == 0 {
		spun++
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.Encode("ready")
	in.ReadString('\n')

	for i := 0; i < quick; i++ {
		syscall.Syscall(syscall.SYS_GETPPID, 0, 0, 0)
	}
	var fds [2]int
	if err := syscall.Pipe(fds[:]); err != nil {
		panic(err)
	}
	for i := 0; i < pipes; i++ {
		go func() {
			time.Sleep(long)
			syscall.Write(fds[1], []byte("x"))
		}()
		one := make([]byte, 1)
		if n, err := syscall.Read(fds[0], one); n != 1 {
			panic(err)
		}
	}
	// Another goroutine takes the P meanwhile and keeps it.
	var until int32
	go spin(&until)
	for i := 0; i < naps; i++ {
		left := syscall.NsecToTimespec(long.Nanoseconds())
		for syscall.Nanosleep(&left, &left) == syscall.EINTR {
		}
	}
	atomic.StoreInt32(&until, 1)
	out.Encode(map[string]interface{}{"quick": quick, "naps": naps, "pipes": pipes, "long_ns": long.Nanoseconds()})
	in.ReadString('\n')
}
