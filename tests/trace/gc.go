// Collects garbage, stops the world in known ways and makes goroutines assist,
// and says what the runtime itself counted of it.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

const (
	forced   = 10
	memStats = 8
	resizes  = 5
)

type tree struct{ left, right *tree }

func grow(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{grow(depth - 1), grow(depth - 1)}
}

//go:noinline
func allocator(done *sync.WaitGroup) {
	for i := 0; i < 12; i++ {
		grow(15)
	}
	done.Done()
}

// Pauses so far: of the collector, others. -1 where the release has no count.
func pauses(name string) int64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return -1
	}
	sum := int64(0)
	for _, count := range sample[0].Value.Float64Histogram().Counts {
		sum += int64(count)
	}
	return sum
}

func assistSeconds() float64 {
	sample := []metrics.Sample{{Name: "/cpu/classes/gc/mark/assist:cpu-seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64 {
		return 0
	}
	return sample[0].Value.Float64()
}

const spinTime = 40 * time.Millisecond

//go:noinline
func spin(cnt int, begun *int32) {
	atomic.StoreInt32(begun, 1)
	for i := 0; i < cnt; i++ {
		atomic.AddInt32(begun, 1)
	}
}

// Stops the world while a goroutine spins that nothing can stop (GODEBUG=asyncpreemptoff=1):
// how long it spun on at least, and how long the stop took as a whole.
func stopBehindSpinner() (spun, whole time.Duration) {
	const some = 1000000
	var stats runtime.MemStats
	var begun int32
	begin := time.Now()
	spin(some, &begun)
	cnt := int(some * spinTime / time.Since(begin))
	begun = 0
	ended := make(chan time.Time)
	go func() {
		spin(cnt, &begun)
		ended <- time.Now()
	}()
	for atomic.LoadInt32(&begun) == 0 {
		time.Sleep(time.Millisecond)
	}
	begin = time.Now()
	runtime.ReadMemStats(&stats)
	whole = time.Since(begin)
	return (<-ended).Sub(begin), whole
}

func work() {
	for i := 0; i < forced; i++ {
		runtime.GC()
	}
	debug.SetGCPercent(20)
	var done sync.WaitGroup
	for i := 0; i < 4; i++ {
		done.Add(1)
		go allocator(&done)
	}
	done.Wait()
	debug.SetGCPercent(-1)
	runtime.GC()
	procs := runtime.GOMAXPROCS(0)
	for i := 0; i < resizes; i++ {
		runtime.GOMAXPROCS(procs + 1 + i%2)
	}
}

func main() {
	debug.SetGCPercent(-1)
	keep := grow(16)
	runtime.GC()
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.Encode("ready")
	in.ReadString('\n')

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	gc, other, assist := pauses("/sched/pauses/total/gc:seconds"), pauses("/sched/pauses/total/other:seconds"), assistSeconds()
	spun, whole := stopBehindSpinner()
	for i := 0; i < memStats-3; i++ {
		runtime.ReadMemStats(&after)
	}
	work()
	gcNow, otherNow, assistNow := pauses("/sched/pauses/total/gc:seconds"), pauses("/sched/pauses/total/other:seconds"), assistSeconds()
	runtime.ReadMemStats(&after)
	out.Encode(map[string]interface{}{
		"cycles": after.NumGC - before.NumGC, "pause_ns": after.PauseTotalNs - before.PauseTotalNs,
		"mem_stats": memStats, "resizes": resizes, "has_pauses": gc >= 0,
		// The first and the last ReadMemStats stand outside.
		"gc_pauses": gcNow - gc, "other_pauses": otherNow - other + 2,
		"spun_ns": spun, "stop_ns": whole,
		"assist_ns": (assistNow - assist) * 1e9,
	})
	in.ReadString('\n')
	runtime.KeepAlive(keep)
}
