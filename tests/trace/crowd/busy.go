// SPDX-License-Identifier: GPL-2.0

package main

import (
	"runtime"
	"time"
)

// Goroutines that are switched all the time, each at two places of equal depth, so
// that a stack that is read while its goroutine goes on looks as good as any. Who
// calls whom is in the names: left3 is called by left2, that by left1, that by swapping;
// so is right3. Only spin and hop are ever asked to give their thread up.

var ball = make(chan int)

//go:noinline
func left3() int { return <-ball }

//go:noinline
func left2() int { return left3() + 1 }

//go:noinline
func left1() int { return left2() + 1 }

//go:noinline
func right3() int { return <-ball }

//go:noinline
func right2() int { return right3() + 1 }

//go:noinline
func right1() int { return right2() + 1 }

// Makes the stack long, so that reading it takes a while.
//
//go:noinline
func pad(n int, f func()) {
	if n > 0 {
		pad(n-1, f)
	} else {
		f()
	}
	sink++
}

//go:noinline
func swapping() {
	for {
		sink += left1()
		sink += right1()
	}
}

//go:noinline
func throwing() {
	for i := 0; ; i++ {
		ball <- i
	}
}

//go:noinline
func swapper() { pad(18, swapping) }

//go:noinline
func thrower() { pad(18, throwing) }

// Has no frame of its own.
//
//go:noinline
func spin3(n int) int {
	for i := 0; i < 1000; i++ {
		n = n*3 + i
	}
	return n
}

//go:noinline
func spin2(n int) int { return spin3(n) + 1 }

//go:noinline
func spin1(n int) int { return spin2(n) + 1 }

//go:noinline
func spinning() {
	for n := 0; ; n++ {
		sink += spin1(n)
	}
}

// Checks its stack, where it is asked to give up its thread.
//
//go:noinline
func hop3(n int) int { return spare(n, [64]int{n}) + 1 }

//go:noinline
func spare(n int, big [64]int) int { return big[n&63] + n }

//go:noinline
func hop2(n int) int { return hop3(n) + 1 }

//go:noinline
func hop1(n int) int { return hop2(n) + 1 }

//go:noinline
func hopping() {
	for n := 0; ; n++ {
		sink += hop1(n)
	}
}

//go:noinline
func yielding() {
	for {
		runtime.Gosched()
	}
}

// Its stack grows, and the collector takes that away again.
//
//go:noinline
func growing() {
	for {
		pad(300, yielding1)
		time.Sleep(time.Millisecond)
	}
}

//go:noinline
func yielding1() { runtime.Gosched() }

//go:noinline
func collecting() {
	for {
		runtime.GC()
	}
}

func move() {
	runtime.GOMAXPROCS(4)
	for i := 0; i < 8; i++ {
		go growing()
		go swapper()
		go thrower()
	}
	go collecting()
}

func swap() {
	runtime.GOMAXPROCS(4)
	for i := 0; i < 4; i++ {
		go swapper()
		go thrower()
	}
}

func spin() {
	runtime.GOMAXPROCS(2)
	for i := 0; i < 3; i++ {
		go spinning()
		go hopping()
		go yielding()
	}
}
