// Calls C a known number of times, which sleeps twice each time.
package main

/*
#include <unistd.h>
static void nap(void) { usleep(5000); usleep(5000); }
*/
import "C"

import (
	"bufio"
	"encoding/json"
	"os"
)

const calls = 10

func main() {
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.Encode("ready")
	in.ReadString('\n')
	for i := 0; i < calls; i++ {
		C.nap()
	}
	out.Encode(map[string]interface{}{"calls": calls, "nap_ns": 10000000})
	in.ReadString('\n')
}
