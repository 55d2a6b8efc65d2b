// SPDX-License-Identifier: GPL-2.0

// Http is a service, and a client that asks it as fast as it answers.
//
//	http serve              prints its address; on SIGUSR1 Go's execution trace
//	                        begins (to /dev/null), on the next it ends
//	http ask URL CLIENTS    prints, for each tenth of a second, the answers and nanoseconds
package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/trace"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type item struct {
	Name string
	Tags []string
	Size int
}

var zips = sync.Pool{New: func() interface{} { return gzip.NewWriter(nil) }}

func list(w http.ResponseWriter, r *http.Request) {
	items := make([]item, 20)
	for i := range items {
		items[i] = item{fmt.Sprint("item", i), []string{r.URL.Path, "tag"}, i * i}
	}
	zip := zips.Get().(*gzip.Writer)
	zip.Reset(w)
	json.NewEncoder(zip).Encode(items)
	zip.Close()
	zips.Put(zip)
}

func hello(w http.ResponseWriter, r *http.Request) {
	w.Write([]byte("hello\n"))
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + listener.Addr().String())
	http.HandleFunc("/list", list)
	http.HandleFunc("/hello", hello)
	go http.Serve(listener, nil)
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	for {
		<-told
		if err := trace.Start(null); err != nil {
			panic(err)
		}
		<-told
		trace.Stop()
	}
}

func ask(url string, clients int) {
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = clients
	var answered int64
	for i := 0; i < clients; i++ {
		go func() {
			for {
				answer, err := http.Get(url)
				if err != nil {
					panic(err)
				}
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				atomic.AddInt64(&answered, 1)
			}
		}()
	}
	for begin, before := time.Now(), int64(0); ; {
		time.Sleep(100 * time.Millisecond)
		now, cnt := time.Now(), atomic.LoadInt64(&answered)
		fmt.Println(cnt-before, now.Sub(begin).Nanoseconds())
		begin, before = now, cnt
	}
}

func main() {
	if os.Args[1] == "serve" {
		serve()
	}
	clients, _ := strconv.Atoi(os.Args[3])
	ask(os.Args[2], clients)
}
