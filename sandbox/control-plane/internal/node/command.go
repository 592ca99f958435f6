package node

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// Options say who the node is and where it keeps its pods.
type Options struct {
	// Name of the Node object.
	Name string
	// Kubeconfig holds the node's own credential, that of system:node:Name.
	Kubeconfig string
	// Directory holds the pods' working directories and logs.
	Directory string
	// Certificate and Key are the serving certificate, files, valid for Address.
	Certificate, Key string
	// ClientAuthority is the file of the authority that signed the API server's kubelet client certificate.
	ClientAuthority string
	// Client is the common name of the only client that is served.
	Client string
	// NetworkSocket is where the API server reaches the cluster's network, a Unix socket.
	NetworkSocket string
}

// Main runs a node until it is told to end, and leaves no process of its pods behind.
func Main() int {
	var options Options
	flags := pflag.NewFlagSet(os.Args[0], pflag.ExitOnError)
	flags.StringVar(&options.Name, "name", "node-1", "name of the Node object")
	flags.StringVar(&options.Kubeconfig, "kubeconfig", "", "the node's own credential")
	flags.StringVar(&options.Directory, "directory", "", "directory of the pods")
	flags.StringVar(&options.Certificate, "tls-cert-file", "", "serving certificate")
	flags.StringVar(&options.Key, "tls-private-key-file", "", "key of the serving certificate")
	flags.StringVar(&options.ClientAuthority, "client-ca-file", "", "authority of the API server's kubelet client certificate")
	flags.StringVar(&options.Client, "client-name", "kube-apiserver-kubelet-client", "common name of the only client served")
	flags.StringVar(&options.NetworkSocket, "network-socket", "", "Unix socket of the proxy to the cluster's network")
	_ = flags.Parse(os.Args[1:])

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, options); err != nil {
		klog.ErrorS(err, "The node failed")
		return 1
	}
	return 0
}

func run(ctx context.Context, options Options) error {
	config, err := clientcmd.BuildConfigFromFlags("", options.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	node := newNode(options, client)
	port, err := node.serve(ctx)
	if err != nil {
		return fmt.Errorf("serving the kubelet's endpoints: %w", err)
	}
	if err := node.network.serve(ctx, options.NetworkSocket); err != nil {
		return fmt.Errorf("serving the cluster's network: %w", err)
	}
	if err := node.register(ctx, port); err != nil {
		return fmt.Errorf("registering the node: %w", err)
	}
	go node.renewLease(ctx)
	node.runPods(ctx)
	return nil
}
