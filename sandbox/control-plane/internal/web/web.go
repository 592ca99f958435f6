// Package web is what a pod of the sandbox runs when its image names a web server.
package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const (
	heartbeat = time.Second
	// largest is the most bytes that /bytes sends.
	largest = 16 << 30
)

// Main serves HTTP on the port named by the environment variable PORT, and
// writes a line to standard output for each request and each second.
func Main() int {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		return 1
	}
	fmt.Println("listening on port", port)
	go beat()
	go func() { _ = http.Serve(listener, logged(handler())) }()

	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM, syscall.SIGINT)
	fmt.Println("stopping:", <-terminated)
	return 0
}

func beat() {
	started := time.Now()
	for range time.Tick(heartbeat) {
		fmt.Printf("up %d s\n", int(time.Since(started).Seconds()))
	}
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "hello from %s\n", os.Getenv("HOSTNAME"))
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/request", showRequest)
	mux.HandleFunc("/bytes/{count}", sendBytes)
	return mux
}

// showRequest answers with the request as it arrived.
func showRequest(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "target": r.RequestURI, "host": r.Host, "headers": r.Header, "body": string(body),
	})
}

func sendBytes(w http.ResponseWriter, r *http.Request) {
	count, err := strconv.ParseInt(r.PathValue("count"), 10, 64)
	if err != nil || count < 0 || count > largest {
		http.Error(w, "not a number of bytes", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(count, 10))
	block := make([]byte, 64<<10)
	for count > 0 {
		n, err := w.Write(block[:min(count, int64(len(block)))])
		if err != nil {
			return
		}
		count -= int64(n)
	}
}

func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Printf("%s %s\n", r.Method, r.URL.Path)
		next.ServeHTTP(w, r)
	})
}
