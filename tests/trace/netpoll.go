// Sleeps a known number of times, wakes a goroutine through a pipe a known number
// of times, and then polls for nothing in short naps.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"time"
)

const (
	sleeps = 40
	writes = 30
	naps   = 400
)

func main() {
	runtime.GOMAXPROCS(1)
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	read := make(chan bool)
	go func() {
		one := make([]byte, 1)
		for {
			if _, err := r.Read(one); err != nil {
				return
			}
			read <- true
		}
	}()
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.Encode("ready")
	in.ReadString('\n')

	begin := time.Now()
	for i := 0; i < sleeps; i++ {
		time.Sleep(3 * time.Millisecond)
	}
	slept := time.Since(begin)
	for i := 0; i < writes; i++ {
		time.Sleep(time.Millisecond)
		w.Write([]byte("x"))
		<-read
	}
	for i := 0; i < naps; i++ {
		time.Sleep(time.Microsecond)
	}
	out.Encode(map[string]interface{}{
		"sleeps": sleeps, "writes": writes, "naps": naps, "slept_ns": slept.Nanoseconds(),
		"all_ns": time.Since(begin).Nanoseconds(),
	})
	in.ReadString('\n')
}
