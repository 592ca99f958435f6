package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

const (
	// idleTimeout is the kubelet's streamingConnectionIdleTimeout.
	idleTimeout = 4 * time.Hour
	// headTimeout is how long a client may take to send a request's head.
	headTimeout = 30 * time.Second
)

// serve serves the kubelet's endpoints on a port of the loopback interface
// until the context ends, and returns the port.
func (n *Node) serve(ctx context.Context) (int32, error) {
	certificate, err := tls.LoadX509KeyPair(n.Certificate, n.Key)
	if err != nil {
		return 0, err
	}
	authority, err := os.ReadFile(n.ClientAuthority)
	if err != nil {
		return 0, err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(authority) {
		return 0, errors.New("no certificate in " + n.ClientAuthority)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	server := &http.Server{
		Handler:           n.authenticated(n.routes()),
		ReadHeaderTimeout: headTimeout,
		TLSConfig: &tls.Config{
			MinVersion:   tls.VersionTLS12,
			Certificates: []tls.Certificate{certificate},
			ClientAuth:   tls.VerifyClientCertIfGiven,
			ClientCAs:    clients,
		},
	}
	context.AfterFunc(ctx, func() { server.Close() })
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return int32(listener.Addr().(*net.TCPAddr).Port), nil
}

// authenticated lets the API server in and nobody else.
func (n *Node) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case len(r.TLS.VerifiedChains) == 0:
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
		case r.TLS.PeerCertificates[0].Subject.CommonName != n.Client:
			http.Error(w, "Forbidden", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (n *Node) routes() http.Handler {
	mux := http.NewServeMux()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, path := range []string{"/{namespace}/{pod}/{container}", "/{namespace}/{pod}/{uid}/{container}"} {
			mux.HandleFunc(method+" /exec"+path, n.serveExec)
			mux.HandleFunc(method+" /attach"+path, n.serveAttach)
		}
		mux.HandleFunc(method+" /portForward/{namespace}/{pod}", n.servePortForward)
		mux.HandleFunc(method+" /portForward/{namespace}/{pod}/{uid}", n.servePortForward)
	}
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.serveLogs)
	mux.HandleFunc("GET /pods", n.servePods)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	return mux
}

func (n *Node) serveExec(w http.ResponseWriter, r *http.Request) {
	c, options, ok := n.streamed(w, r)
	if !ok {
		return
	}
	w, r = watchHangUp(w, r)
	remotecommand.ServeExec(w, r, executor{c}, c.pod.name, string(c.pod.uid), c.spec.Name, r.URL.Query()["command"],
		options, idleTimeout, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (n *Node) serveAttach(w http.ResponseWriter, r *http.Request) {
	c, options, ok := n.streamed(w, r)
	if !ok {
		return
	}
	w, r = watchHangUp(w, r)
	remotecommand.ServeAttach(w, r, attacher{c}, c.pod.name, string(c.pod.uid), c.spec.Name,
		options, idleTimeout, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

// streamed finds what an exec or attach asks for, or answers with what is wrong.
func (n *Node) streamed(w http.ResponseWriter, r *http.Request) (*container, *remotecommand.Options, bool) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, nil, false
	}
	p := n.pod(r.PathValue("namespace"), r.PathValue("pod"))
	if p == nil || !isUID(r, p) {
		http.Error(w, "pod does not exist", http.StatusNotFound)
		return nil, nil, false
	}
	c := p.container(r.PathValue("container"))
	if c == nil {
		http.Error(w, fmt.Sprintf("container not found (%q)", r.PathValue("container")), http.StatusInternalServerError)
		return nil, nil, false
	}
	if process, _ := c.running(); process == nil {
		http.Error(w, fmt.Sprintf("container not running (%q)", c.spec.Name), http.StatusInternalServerError)
		return nil, nil, false
	}
	return c, options, true
}

func (n *Node) servePortForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p := n.pod(r.PathValue("namespace"), r.PathValue("pod"))
	if p == nil || !isUID(r, p) {
		http.Error(w, "pod does not exist", http.StatusNotFound)
		return
	}
	w, r = watchHangUp(w, r)
	portforward.ServePortForward(w, r, forwarder{p, r.Context()}, p.name, string(p.uid),
		options, idleTimeout, remotecommand.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}

func (n *Node) servePods(w http.ResponseWriter, _ *http.Request) {
	list := v1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
	for _, p := range n.all() {
		list.Items = append(list.Items, *p.object())
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list)
}

// isUID is whether the request names no UID, or the pod's.
func isUID(r *http.Request, p *pod) bool {
	uid := r.PathValue("uid")
	return uid == "" || uid == string(p.uid)
}
