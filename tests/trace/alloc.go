// Allocates a known number of objects of one size class and some large ones, and
// says how many the runtime counted and by how much its heap grew.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
)

const (
	small = 80000
	large = 10
)

var keep [][]byte

func main() {
	keep = make([][]byte, 0, small+large)
	runtime.GC()
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.Encode("ready")
	in.ReadString('\n')

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := 0; i < small; i++ {
		keep = append(keep, make([]byte, 1024))
	}
	for i := 0; i < large; i++ {
		keep = append(keep, make([]byte, 1<<20))
	}
	runtime.ReadMemStats(&after)
	mallocs := uint64(0)
	for i, class := range after.BySize {
		if class.Size == 1024 {
			mallocs = class.Mallocs - before.BySize[i].Mallocs
		}
	}
	out.Encode(map[string]interface{}{
		"mallocs": mallocs, "large": large, "procs": runtime.GOMAXPROCS(0),
		"heap_bytes": after.HeapInuse - before.HeapInuse,
	})
	in.ReadString('\n')
	runtime.KeepAlive(keep)
}
