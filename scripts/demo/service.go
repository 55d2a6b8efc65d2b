// service is the Go program that `make demo` records: an HTTP server whose
// handler reads a file, parses it and sends it compressed, and the load on it.
//
//	service            serves on a free port of the loopback and prints its URL
//	service URL        requests URL from eight connections until it is stopped
package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
)

type word struct {
	Text  string
	Count int
}

func countWords(text string) []word {
	counts := make(map[string]int)
	for _, field := range strings.Fields(text) {
		counts[strings.ToLower(field)]++
	}
	words := make([]word, 0, len(counts))
	for text, count := range counts {
		words = append(words, word{text, count})
	}
	sort.Slice(words, func(i, j int) bool { return words[i].Count > words[j].Count })
	return words
}

func handleWords(w http.ResponseWriter, r *http.Request) {
	text, err := os.ReadFile(os.Args[0] + ".txt")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	packer := gzip.NewWriter(w)
	defer packer.Close()
	json.NewEncoder(packer).Encode(countWords(string(text)))
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/words", handleWords)
	fmt.Printf("http://%s/words\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

func load(url string) {
	var wait sync.WaitGroup
	for i := 0; i < 8; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
			for {
				response, err := client.Get(url)
				if err != nil {
					return
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		}()
	}
	wait.Wait()
}

func main() {
	if len(os.Args) > 1 {
		load(os.Args[1])
		return
	}
	serve()
}
