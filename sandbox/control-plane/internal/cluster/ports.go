package cluster

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Below where systems take the ports of outgoing connections from, so that a
// port that is free now is still free when its component listens.
const lowestPort, highestPort = 15000, 29999

// freePort returns a port of the loopback interface that nothing listens on.
func freePort() (int, error) {
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no port is free on 127.0.0.1")
}
