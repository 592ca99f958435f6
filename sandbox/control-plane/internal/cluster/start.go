package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	kubeletClient = "kube-apiserver-kubelet-client"
	serviceRange  = "10.96.0.0/16"

	pollInterval = 50 * time.Millisecond
	readyTimeout = 2 * time.Minute
)

// startAll starts the components in the order of their needs, and returns when
// the API server is ready, the node is Ready, and pods can be created.
func (c *components) startAll(ctx context.Context, port int, options options) error {
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	if err := c.startAPIServer(port, options); err != nil {
		return err
	}
	client, err := c.adminClient()
	if err != nil {
		return err
	}
	if err := c.await(ctx, "kube-apiserver", func(ctx context.Context) bool {
		return client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
	}); err != nil {
		return err
	}
	if err := c.startControllers(); err != nil {
		return err
	}
	if err := c.await(ctx, "kube-controller-manager", func(ctx context.Context) bool {
		_, err := client.CoreV1().ServiceAccounts(v1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	}); err != nil {
		return err
	}
	return c.await(ctx, "node", func(ctx context.Context) bool {
		node, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		return err == nil && schedulable(node)
	})
}

// schedulable is whether the node is Ready and the controllers have seen it.
func schedulable(node *v1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == v1.NodeReady {
			return condition.Status == v1.ConditionTrue && len(node.Spec.Taints) == 0
		}
	}
	return false
}

func (c *components) startEtcd(ctx context.Context) error {
	if err := c.start("etcd",
		"--data-dir="+c.layout.path("etcd"),
		"--listen-client-urls=unix://"+c.layout.etcdSocket(),
		"--listen-peer-urls=unix://"+c.layout.path("etcd-peer.sock"),
		// Nobody dials these: there is one member and one client.
		"--advertise-client-urls=http://localhost:2379",
		"--initial-advertise-peer-urls=http://localhost:2380",
		"--initial-cluster=default=http://localhost:2380",
		"--unsafe-no-fsync",
	); err != nil {
		return err
	}
	return c.await(ctx, "etcd", func(context.Context) bool {
		connection, err := net.Dial("unix", c.layout.etcdSocket())
		if err == nil {
			connection.Close()
		}
		return err == nil
	})
}

func (c *components) startAPIServer(port int, options options) error {
	l := c.layout
	egress, err := l.writeConfiguration("egress-selector.yaml", fmt.Sprintf(egressSelector, l.networkSocket()))
	if err != nil {
		return err
	}
	arguments := []string{
		"--etcd-servers=unix://" + l.etcdSocket(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + l.certificate("kube-apiserver"),
		"--tls-private-key-file=" + l.key("kube-apiserver"),
		"--client-ca-file=" + l.certificate("ca"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + l.certificate("service-account"),
		"--service-account-signing-key-file=" + l.key("service-account"),
		"--service-cluster-ip-range=" + serviceRange,
		"--kubelet-client-certificate=" + l.certificate("kubelet-client"),
		"--kubelet-client-key=" + l.key("kubelet-client"),
		"--kubelet-certificate-authority=" + l.certificate("ca"),
		"--kubelet-preferred-address-types=InternalIP",
		"--egress-selector-config-file=" + egress,
		"--requestheader-client-ca-file=" + l.certificate("ca"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + l.certificate("front-proxy-client"),
		"--proxy-client-key-file=" + l.key("front-proxy-client"),
		"--enable-aggregator-routing=true",
		"--profiling=false",
	}
	if options.audit {
		policy, err := l.writeConfiguration("audit-policy.yaml", auditPolicy)
		if err != nil {
			return err
		}
		arguments = append(arguments,
			"--audit-policy-file="+policy,
			"--audit-log-path="+l.auditLog(),
			"--audit-log-mode=blocking",
			"--audit-log-maxsize=0",
		)
	}
	return c.start("kube-apiserver", append(arguments, options.apiServerFlags...)...)
}

// startControllers starts what works on the objects: controllers, scheduler and node.
func (c *components) startControllers() error {
	l := c.layout
	if err := c.start("kube-controller-manager",
		"--kubeconfig="+l.kubeconfig("kube-controller-manager"),
		"--authentication-kubeconfig="+l.kubeconfig("kube-controller-manager"),
		"--authorization-kubeconfig="+l.kubeconfig("kube-controller-manager"),
		"--secure-port=0",
		"--leader-elect=false",
		"--use-service-account-credentials",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--root-ca-file="+l.certificate("ca"),
		"--service-account-private-key-file="+l.key("service-account"),
		"--cluster-signing-cert-file="+l.certificate("ca"),
		"--cluster-signing-key-file="+l.key("ca"),
	); err != nil {
		return err
	}
	if err := c.start("kube-scheduler",
		"--kubeconfig="+l.kubeconfig("kube-scheduler"),
		"--authentication-kubeconfig="+l.kubeconfig("kube-scheduler"),
		"--authorization-kubeconfig="+l.kubeconfig("kube-scheduler"),
		"--secure-port=0",
		"--leader-elect=false",
	); err != nil {
		return err
	}
	return c.start("node",
		"--name="+nodeName,
		"--kubeconfig="+l.kubeconfig("node"),
		"--directory="+l.path("node"),
		"--tls-cert-file="+l.certificate("kubelet"),
		"--tls-private-key-file="+l.key("kubelet"),
		"--client-ca-file="+l.certificate("ca"),
		"--client-name="+kubeletClient,
		"--network-socket="+l.networkSocket(),
	)
}

// await polls until the condition holds. It fails when the context ends or
// time is up, with what the component has to say.
func (c *components) await(ctx context.Context, name string, holds func(context.Context) bool) error {
	err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		return holds(ctx), nil
	})
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("%s was not ready after %s; the end of its log:\n%s", name, readyTimeout, c.tail(name))
}

func (c *components) adminClient() (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.layout.kubeconfig("admin"))
	if err != nil {
		return nil, err
	}
	config.RateLimiter = nil
	config.QPS = -1
	config.Timeout = 10 * time.Second
	return kubernetes.NewForConfig(rest.AddUserAgent(config, "control-plane"))
}

func (l layout) writeConfiguration(name, content string) (string, error) {
	path := filepath.Join(string(l), name)
	return path, os.WriteFile(path, []byte(content), 0o600)
}
