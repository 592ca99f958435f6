package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"postern.dev/sandbox/control-plane/internal/certificates"
	"postern.dev/sandbox/control-plane/internal/node"
)

const (
	nodeName            = "node-1"
	clusterName         = "sandbox"
	certificateLifetime = 365 * 24 * time.Hour
	// longestSocketPath is what every system takes.
	longestSocketPath = 103
)

// layout is the directory of a control plane.
type layout string

func (l layout) path(elements ...string) string {
	return filepath.Join(append([]string{string(l)}, elements...)...)
}

func (l layout) certificates() string           { return l.path("certificates") }
func (l layout) certificate(name string) string { return l.path("certificates", name+".crt") }
func (l layout) key(name string) string         { return l.path("certificates", name+".key") }
func (l layout) kubeconfig(name string) string  { return l.path("kubeconfigs", name+".yaml") }
func (l layout) log(component string) string    { return l.path("logs", component+".log") }
func (l layout) auditLog() string               { return l.path("logs", "audit.log") }
func (l layout) kubectl() string                { return l.path("bin", "kubectl") }
func (l layout) networkSocket() string          { return l.path("network.sock") }
func (l layout) etcdSocket() string             { return l.path("etcd.sock") }

// create makes the directories and the link through which the binary is kubectl.
func (l layout) create() error {
	if len(l.networkSocket()) > longestSocketPath {
		return fmt.Errorf("%s is too long a path: the sockets in it can have no more than %d characters", string(l), longestSocketPath)
	}
	for _, directory := range []string{"certificates", "kubeconfigs", "logs", "bin", "etcd", "node"} {
		if err := os.MkdirAll(l.path(directory), 0o700); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	_ = os.Remove(l.kubectl())
	return os.Symlink(self, l.kubectl())
}

// issue makes the certificate authority and every credential that the components need.
func (l layout) issue(server string) error {
	authority, err := certificates.Create(l.certificates())
	if err != nil {
		return err
	}
	subjects := map[string]certificates.Subject{
		"kube-apiserver": {Name: "kube-apiserver", Hosts: []string{
			"127.0.0.1", "localhost", "10.96.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		}},
		"kubelet":                 {Name: nodeName, Hosts: []string{nodeName, node.Address, "127.0.0.1"}},
		"kubelet-client":          {Name: kubeletClient, Groups: []string{"system:masters"}},
		"front-proxy-client":      {Name: "front-proxy-client"},
		"service-account":         {Name: "service-account"},
		"admin":                   {Name: "kubernetes-admin", Groups: []string{"system:masters"}},
		"kube-controller-manager": {Name: "system:kube-controller-manager"},
		"kube-scheduler":          {Name: "system:kube-scheduler"},
		"node":                    {Name: "system:node:" + nodeName, Groups: []string{"system:nodes"}},
	}
	for name, subject := range subjects {
		pair, err := authority.Issue(subject, certificateLifetime)
		if err != nil {
			return err
		}
		if err := pair.Write(l.certificate(name), l.key(name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"admin", "kube-controller-manager", "kube-scheduler", "node"} {
		if err := l.writeKubeconfig(name, server); err != nil {
			return err
		}
	}
	return nil
}

// writeKubeconfig writes a kubeconfig that holds all it needs.
func (l layout) writeKubeconfig(name, server string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[clusterName] = &clientcmdapi.Cluster{Server: server, CertificateAuthority: l.certificate("ca")}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificate: l.certificate(name), ClientKey: l.key(name)}
	config.Contexts[clusterName] = &clientcmdapi.Context{Cluster: clusterName, AuthInfo: name}
	config.CurrentContext = clusterName
	if err := clientcmdapi.FlattenConfig(config); err != nil {
		return err
	}
	return clientcmd.WriteToFile(*config, l.kubeconfig(name))
}
