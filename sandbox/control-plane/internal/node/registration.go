package node

import (
	"context"
	"runtime"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

const (
	leaseSeconds  = 40
	leaseInterval = 10 * time.Second
	// statusInterval is how often the node's conditions are written, that they look alive.
	statusInterval = 5 * time.Minute
)

// register creates the Node, or takes over the one of that name, and marks it ready.
func (n *Node) register(ctx context.Context, port int32) error {
	nodes := n.client.CoreV1().Nodes()
	object := &v1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: n.Name,
		Labels: map[string]string{
			v1.LabelHostname:   n.Name,
			v1.LabelOSStable:   runtime.GOOS,
			v1.LabelArchStable: runtime.GOARCH,
		},
	}}
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		current, err := nodes.Create(ctx, object, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			current, err = nodes.Get(ctx, n.Name, metav1.GetOptions{})
		}
		if err == nil {
			current.Status = n.status(port)
			_, err = nodes.UpdateStatus(ctx, current, metav1.UpdateOptions{})
		}
		if err != nil {
			klog.InfoS("Not registered yet", "err", err)
		}
		return err == nil, nil
	})
}

func (n *Node) status(port int32) v1.NodeStatus {
	resources := v1.ResourceList{
		v1.ResourceCPU:              resource.MustParse("16"),
		v1.ResourceMemory:           resource.MustParse("64Gi"),
		v1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
		v1.ResourcePods:             resource.MustParse("250"),
	}
	now := metav1.Now()
	condition := func(kind v1.NodeConditionType, status v1.ConditionStatus, reason, message string) v1.NodeCondition {
		return v1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return v1.NodeStatus{
		Capacity:    resources,
		Allocatable: resources,
		Addresses: []v1.NodeAddress{
			{Type: v1.NodeInternalIP, Address: Address},
			{Type: v1.NodeHostName, Address: n.Name},
		},
		DaemonEndpoints: v1.NodeDaemonEndpoints{KubeletEndpoint: v1.DaemonEndpoint{Port: port}},
		NodeInfo: v1.NodeSystemInfo{
			KubeletVersion:          version.Get().GitVersion,
			ContainerRuntimeVersion: runtimeName + "://1",
			OperatingSystem:         runtime.GOOS,
			Architecture:            runtime.GOARCH,
			OSImage:                 "Postern sandbox",
		},
		Conditions: []v1.NodeCondition{
			condition(v1.NodeMemoryPressure, v1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
			condition(v1.NodeDiskPressure, v1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
			condition(v1.NodePIDPressure, v1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
			condition(v1.NodeReady, v1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
		},
	}
}

// renewLease keeps the node's heartbeat until the context ends.
func (n *Node) renewLease(ctx context.Context) {
	go wait.UntilWithContext(ctx, n.renewStatus, statusInterval)
	leases := n.client.CoordinationV1().Leases(v1.NamespaceNodeLease)
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		lease, err := leases.Get(ctx, n.Name, metav1.GetOptions{})
		missing := apierrors.IsNotFound(err)
		if err != nil && !missing {
			klog.InfoS("The lease was not renewed", "err", err)
			return
		}
		if missing {
			lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: n.Name}}
		}
		lease.Spec.HolderIdentity = ptr.To(n.Name)
		lease.Spec.LeaseDurationSeconds = ptr.To[int32](leaseSeconds)
		lease.Spec.RenewTime = ptr.To(metav1.NowMicro())
		if missing {
			_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
		} else {
			_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
		}
		if err != nil {
			klog.InfoS("The lease was not renewed", "err", err)
		}
	}, leaseInterval)
}

func (n *Node) renewStatus(ctx context.Context) {
	nodes := n.client.CoreV1().Nodes()
	current, err := nodes.Get(ctx, n.Name, metav1.GetOptions{})
	if err == nil {
		for i := range current.Status.Conditions {
			current.Status.Conditions[i].LastHeartbeatTime = metav1.Now()
		}
		_, err = nodes.UpdateStatus(ctx, current, metav1.UpdateOptions{})
	}
	if err != nil {
		klog.InfoS("The conditions were not renewed", "err", err)
	}
}
