package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"syscall"

	v1 "k8s.io/api/core/v1"

	"postern.dev/sandbox/control-plane/internal/loopback"
)

// Address is the node's own, from the block that RFC 5737 keeps for examples.
const Address = "192.0.2.1"

// podNetwork holds the pods' addresses. No interface has one of them: only the
// proxy that the API server dials through knows where they lead.
var podNetwork = netip.MustParsePrefix("10.244.0.0/16")

// network leads the cluster's addresses to ports of the loopback interface.
//
// All pods share the host's ports, so each declared containerPort is mapped to
// a free one. A port that no container declares leads to itself.
type network struct {
	mu    sync.Mutex
	last  netip.Addr
	ports map[netip.Addr]map[int32]int32
	// given holds the ports of the host in ports: a pod that was given one may not listen yet.
	given map[int32]bool
}

func newNetwork() *network {
	return &network{last: podNetwork.Addr(), ports: map[netip.Addr]map[int32]int32{}, given: map[int32]bool{}}
}

// join gives the pod an address, and each port that its containers declare a free port of the host.
func (n *network) join(pod *v1.Pod) (netip.Addr, map[int32]int32, error) {
	ports := map[int32]int32{}
	if pod.Spec.HostNetwork {
		return netip.MustParseAddr(Address), ports, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, containers := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, container := range containers {
			for _, port := range container.Ports {
				free, err := n.freePort()
				if err != nil {
					return netip.Addr{}, nil, err
				}
				ports[port.ContainerPort] = free
			}
		}
	}
	for range 1 << 16 {
		if n.last = n.last.Next(); !podNetwork.Contains(n.last) {
			n.last = podNetwork.Addr().Next()
		}
		if _, taken := n.ports[n.last]; !taken {
			n.ports[n.last] = ports
			return n.last, ports, nil
		}
	}
	return netip.Addr{}, nil, errors.New("no address is left in " + podNetwork.String())
}

func (n *network) leave(address netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, port := range n.ports[address] {
		delete(n.given, port)
	}
	delete(n.ports, address)
}

// dial connects to a port of the pod at the address.
func (n *network) dial(ctx context.Context, address netip.Addr, port int32) (net.Conn, error) {
	n.mu.Lock()
	ports, known := n.ports[address]
	n.mu.Unlock()
	if !known && address.String() != Address {
		target := net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, uint16(port)))
		return nil, &net.OpError{Op: "dial", Net: "tcp4", Addr: target, Err: syscall.EHOSTUNREACH}
	}
	real := port
	if mapped, declared := ports[port]; declared {
		real = mapped
	}
	return new(net.Dialer).DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(real))))
}

// serve answers HTTP CONNECT on the Unix socket until the context ends. The
// API server reaches everything in the cluster through it.
func (n *network) serve(ctx context.Context, socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go n.connect(ctx, client)
		}
	}()
	return nil
}

func (n *network) connect(ctx context.Context, client net.Conn) {
	defer client.Close()
	reader := bufio.NewReader(client)
	request, err := http.ReadRequest(reader)
	if err != nil {
		return
	}
	target, err := netip.ParseAddrPort(request.Host)
	if request.Method != http.MethodConnect || err != nil {
		fmt.Fprint(client, "HTTP/1.1 400 Bad Request\r\n\r\n")
		return
	}
	peer, err := n.dial(ctx, target.Addr(), int32(target.Port()))
	if err != nil {
		fmt.Fprintf(client, "HTTP/1.1 502 %s\r\n\r\n", err)
		return
	}
	defer peer.Close()
	fmt.Fprint(client, "HTTP/1.1 200 OK\r\n\r\n")
	join(stream{Reader: reader, Conn: client}, peer)
}

// stream is a connection some of whose bytes were read ahead.
type stream struct {
	io.Reader
	net.Conn
}

func (s stream) Read(p []byte) (int, error) { return s.Reader.Read(p) }
func (s stream) CloseWrite() error          { return s.Conn.(*net.UnixConn).CloseWrite() }

// join copies both ways and returns when both have ended. The end of one way is passed on.
func join(a, b io.ReadWriter) {
	var both sync.WaitGroup
	both.Go(func() { copyAndCloseWrite(b, a) })
	both.Go(func() { copyAndCloseWrite(a, b) })
	both.Wait()
}

func copyAndCloseWrite(to io.Writer, from io.Reader) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// freePort returns a port of the host that nothing listens on and no pod was given. The caller holds the lock.
func (n *network) freePort() (int32, error) {
	for {
		free, err := loopback.FreePort()
		if err != nil {
			return 0, err
		}
		if port := int32(free); !n.given[port] {
			n.given[port] = true
			return port, nil
		}
	}
}
