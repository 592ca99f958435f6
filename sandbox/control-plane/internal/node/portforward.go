package node

import (
	"context"
	"fmt"
	"io"
	"net"
)

// forwarder connects to the ports of a pod on behalf of one client.
type forwarder struct {
	pod *pod
	// client ends when the client is gone.
	client context.Context
}

// PortForward copies between the stream and the port until the port's side
// ends. The end of the client's side is passed on.
func (f forwarder) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	connection, err := f.pod.node.network.dial(f.client, f.pod.address, port)
	if err != nil {
		return fmt.Errorf("failed to execute portforward in network namespace %q: failed to connect to localhost:%d inside namespace %q, IPv4: %w",
			f.pod.address, port, f.pod.uid, err)
	}
	defer connection.Close()
	defer context.AfterFunc(f.client, func() { connection.Close() })()
	go func() {
		_, _ = io.Copy(connection, stream)
		_ = connection.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(stream, connection)
	return nil
}
