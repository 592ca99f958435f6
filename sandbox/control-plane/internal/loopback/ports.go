// Package loopback finds ports of the loopback interface.
package loopback

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Below where systems take the ports of outgoing connections from, so that a
// port that is free now is still free when its user listens.
const lowestPort, highestPort = 15000, 29999

// FreePort returns a port of the loopback interface that nothing listens on.
func FreePort() (int, error) {
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no port is free on 127.0.0.1")
}
