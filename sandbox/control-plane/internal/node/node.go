// Package node is a kubelet whose containers are local processes.
//
// It registers a Node, runs the pods bound to it, and serves the kubelet's
// endpoints with Kubernetes' own streaming and log code. Containers share the
// host's file system and network; each has a working directory of its own.
package node

import (
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
)

// Node is one node and the pods on it.
type Node struct {
	Options
	client   kubernetes.Interface
	network  *network
	recorder record.EventRecorder

	mu   sync.RWMutex
	pods map[types.UID]*pod
}

func newNode(options Options, client kubernetes.Interface) *Node {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedv1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return &Node{
		Options:  options,
		client:   client,
		network:  newNetwork(),
		recorder: broadcaster.NewRecorder(scheme.Scheme, v1.EventSource{Component: "kubelet", Host: options.Name}),
		pods:     map[types.UID]*pod{},
	}
}

// pod returns the pod of that name, or nil.
func (n *Node) pod(namespace, name string) *pod {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, pod := range n.pods {
		if spec := pod.object(); spec.Namespace == namespace && spec.Name == name {
			return pod
		}
	}
	return nil
}

// all returns the pods of the node in no order.
func (n *Node) all() []*pod {
	n.mu.RLock()
	defer n.mu.RUnlock()
	pods := make([]*pod, 0, len(n.pods))
	for _, pod := range n.pods {
		pods = append(pods, pod)
	}
	return pods
}
