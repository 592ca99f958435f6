package node

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
)

// watchHangUp gives the request a context that ends when the client is gone.
// net/http stops watching a connection that has been taken over.
func watchHangUp(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
	ctx, hangUp := context.WithCancel(r.Context())
	return &watchedWriter{w, hangUp}, r.WithContext(ctx)
}

type watchedWriter struct {
	http.ResponseWriter
	hangUp context.CancelFunc
}

// Hijack implements http.Hijacker.
func (w *watchedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	connection, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	ahead := make([]byte, buffers.Reader.Buffered())
	if _, err := io.ReadFull(buffers, ahead); err != nil {
		return nil, nil, err
	}
	watched := &watchedConnection{connection, w.hangUp}
	reader := bufio.NewReader(io.MultiReader(bytes.NewReader(ahead), watched))
	return watched, bufio.NewReadWriter(reader, bufio.NewWriter(watched)), nil
}

type watchedConnection struct {
	net.Conn
	hangUp context.CancelFunc
}

func (c *watchedConnection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.hangUp()
	}
	return n, err
}

func (c *watchedConnection) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.hangUp()
	}
	return n, err
}

func (c *watchedConnection) Close() error {
	c.hangUp()
	return c.Conn.Close()
}
