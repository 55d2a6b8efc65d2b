// delays spins in one goroutine for half a second, beside as many others as its argument says.
// It says "ready" and begins when told to; prints the goroutine's number, "done" when it
// is over, and ends when told to.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

var wait sync.WaitGroup

//go:noinline
func spin() {
	for begin := time.Now(); time.Since(begin) < time.Second/2; {
	}
	wait.Done()
}

func measured() {
	var text [64]byte
	fmt.Println(strings.Fields(string(text[:runtime.Stack(text[:], false)]))[1])
	spin()
}

func main() {
	input := bufio.NewReader(os.Stdin)
	fmt.Println("ready")
	input.ReadString('\n')
	others, _ := strconv.Atoi(os.Args[1])
	wait.Add(1 + others)
	for i := 0; i < others; i++ {
		go spin()
	}
	go measured()
	wait.Wait()
	fmt.Println("done")
	input.ReadString('\n')
}
