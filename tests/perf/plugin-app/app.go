// A Go program whose stacks hold what a reader of perf data meets: calls that
// were inlined, generics, closures, assembly, system calls, the vdso, the
// scheduler, the collector.
//
//	app SECONDS [WORK...]
//
// Runs each WORK (all by default) on a goroutine of its own for SECONDS.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

var stop int32
var sink uint64

func stopped() bool { return atomic.LoadInt32(&stop) != 0 }

// Inlined into rotate, which is inlined into mix.
func shift(x uint64, by uint) uint64 { return x<<by ^ x>>(64-by) }

func rotate(x uint64) uint64 {
	x = shift(x, 7)
	x ^= 0x9e3779b97f4a7c15
	return shift(x, 31)
}

//go:noinline
func mix(x uint64, rounds int) uint64 {
	for i := 0; i < rounds; i++ {
		x = rotate(x) + uint64(i)
	}
	return x
}

func inlined() {
	for !stopped() {
		sink += mix(sink, 50000)
	}
}

type number interface{ ~int | ~uint64 }

//go:noinline
func sum[T number](list []T) (total T) {
	for round := 0; round < 200; round++ {
		for _, v := range list {
			total += v*total + 1
		}
	}
	return total
}

func generic() {
	list := make([]uint64, 500)
	for i := range list {
		list[i] = uint64(i)
	}
	for !stopped() {
		sink += sum(list)
	}
}

func closures() {
	each := func(f func(int) uint64) {
		for i := 0; i < 1000; i++ {
			sink += f(i)
		}
	}
	for !stopped() {
		each(func(i int) uint64 { return mix(uint64(i), 20) })
	}
}

func assembly() {
	block := make([]byte, 4096)
	for !stopped() {
		h := sha256.Sum256(block)
		block[0] = h[0]
	}
}

func syscalls() {
	fd, err := syscall.Open("/dev/zero", syscall.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	buf := make([]byte, 65536)
	for !stopped() {
		if _, err := syscall.Read(fd, buf); err != nil {
			panic(err)
		}
	}
}

func clock() {
	for !stopped() {
		sink += uint64(time.Now().UnixNano())
	}
}

func pingpong() {
	to, back := make(chan int), make(chan int)
	go func() {
		for v := range to {
			back <- v
		}
	}()
	for i := 0; !stopped(); i++ {
		to <- i
		<-back
	}
	close(to)
}

type tree struct{ left, right *tree }

func grow(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{grow(depth - 1), grow(depth - 1)}
}

func garbage() {
	for !stopped() {
		if grow(12).left == nil {
			panic("no tree")
		}
	}
}

var works = []struct {
	name string
	run  func()
}{
	{"inlined", inlined}, {"generic", generic}, {"closures", closures},
	{"assembly", assembly}, {"syscalls", syscalls}, {"clock", clock},
	{"pingpong", pingpong}, {"garbage", garbage},
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: app SECONDS [WORK...]")
		os.Exit(2)
	}
	seconds, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		panic(err)
	}
	done := make(chan bool)
	running := 0
	for _, work := range works {
		wanted := len(os.Args) == 2
		for _, name := range os.Args[2:] {
			wanted = wanted || name == work.name
		}
		if wanted {
			running++
			go func(run func()) {
				run()
				done <- true
			}(work.run)
		}
	}
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	atomic.StoreInt32(&stop, 1)
	for ; running > 0; running-- {
		<-done
	}
}
