// echo is a TCP server (echo serve ADDRESS...), or a client (echo IPV4 IPV6 CLOSED) of
// 8 connections with a goroutine each, 4 to either address, and one that two goroutines
// write in turn. It also tries to connect to CLOSED. The client says "ready", waits for
// a line, and prints one of "one GOID LOCALPORT", "two GOID LOCALPORT" and "dial GOID"
// for each goroutine; after the time ECHO_TIME "done", and ends when it is told to.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

func goid() string {
	var text [64]byte
	return strings.Fields(string(text[:runtime.Stack(text[:], false)]))[1]
}

func dial(address string) net.Conn {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		panic(err)
	}
	return conn
}

//go:noinline
func exchange(conn net.Conn, buf []byte) {
	_, err := conn.Write(buf)
	if err == nil {
		_, err = io.ReadFull(conn, buf)
	}
	if err != nil {
		panic(err)
	}
}

func port(conn net.Conn) int { return conn.LocalAddr().(*net.TCPAddr).Port }

func one(address string, size int, until time.Time) {
	conn := dial(address)
	fmt.Println("one", goid(), port(conn))
	buf := make([]byte, size)
	for time.Now().Before(until) {
		exchange(conn, buf)
	}
	conn.Close()
}

// So many that one of them is lost.
const leastTurns = 80

func two(conn net.Conn, turns, others chan bool, until time.Time) {
	fmt.Println("two", goid(), port(conn))
	buf := make([]byte, 30000)
	cnt := 0
	for range turns {
		if cnt++; cnt > leastTurns && !time.Now().Before(until) {
			break
		}
		exchange(conn, buf)
		others <- true
	}
	close(others)
}

func answer(conn net.Conn) {
	io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn})
	conn.Close()
}

func serve(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	fmt.Println("listen", goid())
	for err == nil {
		var conn net.Conn
		if conn, err = listener.Accept(); err == nil {
			go answer(conn)
		}
	}
	panic(err)
}

func main() {
	input := bufio.NewReader(os.Stdin)
	fmt.Println("ready")
	input.ReadString('\n')
	if os.Args[1] == "serve" {
		for _, address := range os.Args[3:] {
			go serve(address)
		}
		serve(os.Args[2])
	}
	long, _ := time.ParseDuration(os.Getenv("ECHO_TIME"))
	until := time.Now().Add(long)
	var wait sync.WaitGroup
	do := func(f func()) {
		wait.Add(1)
		go func() { defer wait.Done(); f() }()
	}
	for i := 0; i < 8; i++ {
		address, size := os.Args[1+i%2], 1000 // one segment
		if i >= 4 {
			size = 30000
		}
		do(func() { one(address, size, until) })
	}
	conn, even, odd := dial(os.Args[1]), make(chan bool, 1), make(chan bool, 1)
	do(func() { two(conn, even, odd, until) })
	do(func() { two(conn, odd, even, until) })
	even <- true
	do(func() {
		fmt.Println("dial", goid())
		if conn, err := net.DialTimeout("tcp", os.Args[3], 1300*time.Millisecond); err == nil {
			panic(conn)
		}
	})
	wait.Wait()
	conn.Close()
	fmt.Println("done")
	input.ReadString('\n')
}
