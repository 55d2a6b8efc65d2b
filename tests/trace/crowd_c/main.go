// SPDX-License-Identifier: GPL-2.0

// As tests/trace/crowd, with goroutines that are in C, and that C has called back.
package main

/*
#include <unistd.h>
extern void back(void);
static void forth(void) { back(); }
static void stay(void) { for (;;) pause(); }
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

var never = make(chan int)

//export back
func back() { <-never }

//go:noinline
func caller() { C.forth() }

//go:noinline
func stayer() { C.stay() }

func main() {
	for i := 0; i < 3; i++ {
		go caller()
		go stayer()
	}
	fmt.Println("caller 3")
	fmt.Println("stayer 3")
	time.Sleep(300 * time.Millisecond)
	fmt.Println("ready")
	bufio.NewScanner(os.Stdin).Scan()
}
