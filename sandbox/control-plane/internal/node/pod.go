package node

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pod is one pod of the node, from its binding to its removal.
type pod struct {
	node            *Node
	uid             types.UID
	namespace, name string
	directory, logs string
	started         metav1.Time
	address         netip.Addr
	ports           map[int32]int32

	// end asks the containers to end; ended is closed when all have.
	end   context.CancelFunc
	ended chan struct{}
	// kill ends those that were asked and have not ended.
	kill    context.CancelFunc
	overdue context.Context
	// unreported has an entry when there is something to report.
	unreported chan struct{}
	// reporting is held while a status is on its way.
	reporting sync.Mutex
	reported  v1.PodStatus
	// auxiliaries are the containers that live no longer than the regular ones:
	// sidecars and ephemeral containers.
	auxiliaries      sync.WaitGroup
	auxiliaryContext context.Context
	endAuxiliaries   context.CancelFunc

	mu         sync.Mutex
	latest     *v1.Pod
	init       []*container
	containers []*container
	ephemeral  []*container
	finished   bool
	ending     bool
}

// startPod runs the pod until it has finished, or is ended.
func (n *Node) startPod(ctx context.Context, object *v1.Pod) (*pod, error) {
	address, ports, err := n.network.join(object)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	path := object.Namespace + "_" + object.Name + "_" + string(object.UID)
	p := &pod{
		node: n, uid: object.UID, namespace: object.Namespace, name: object.Name,
		directory: filepath.Join(n.Directory, "pods", path),
		logs:      filepath.Join(n.Directory, "logs", path),
		started:   metav1.Now(), address: address, ports: ports,
		end: end, ended: make(chan struct{}),
		unreported: make(chan struct{}, 1), reported: object.Status,
		latest: object,
	}
	p.overdue, p.kill = context.WithCancel(context.Background())
	p.auxiliaryContext, p.endAuxiliaries = context.WithCancel(ctx)
	waiting := "ContainerCreating"
	if len(object.Spec.InitContainers) > 0 {
		waiting = "PodInitializing"
	}
	for i := range object.Spec.InitContainers {
		p.init = append(p.init, newContainer(p, &object.Spec.InitContainers[i], waiting))
	}
	for i := range object.Spec.Containers {
		p.containers = append(p.containers, newContainer(p, &object.Spec.Containers[i], waiting))
	}
	p.runEphemeral()
	go p.keepReporting(ctx)
	go p.run(ctx)
	return p, nil
}

// run runs all containers and returns when none is left.
func (p *pod) run(ctx context.Context) {
	p.runContainers(ctx)
	p.mu.Lock()
	p.finished = true
	p.mu.Unlock()
	p.endAuxiliaries()
	p.auxiliaries.Wait()
	p.changed()
	close(p.ended)
}

// runContainers runs the init containers one by one, then the others together.
func (p *pod) runContainers(ctx context.Context) {
	policy := p.object().Spec.RestartPolicy
	for _, c := range p.init {
		if isSidecar(c.spec) {
			p.auxiliaries.Go(func() { c.run(p.auxiliaryContext, v1.RestartPolicyAlways) })
		} else if !c.run(ctx, initPolicy(policy)) {
			return
		}
	}
	var containers sync.WaitGroup
	for _, c := range p.containers {
		containers.Go(func() { c.run(ctx, policy) })
	}
	containers.Wait()
}

// runEphemeral runs the ephemeral containers that are new.
func (p *pod) runEphemeral() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished || p.ending {
		return
	}
	declared := p.latest.Spec.EphemeralContainers
	for i := len(p.ephemeral); i < len(declared); i++ {
		spec := v1.Container(declared[i].EphemeralContainerCommon)
		c := newContainer(p, &spec, "ContainerCreating")
		p.ephemeral = append(p.ephemeral, c)
		p.auxiliaries.Go(func() { c.run(p.auxiliaryContext, v1.RestartPolicyNever) })
	}
}

// update takes in what the API server says of the pod now.
func (p *pod) update(object *v1.Pod) {
	p.mu.Lock()
	p.latest = object
	p.mu.Unlock()
	if object.DeletionTimestamp == nil {
		p.runEphemeral()
		return
	}
	time.AfterFunc(time.Duration(*object.DeletionGracePeriodSeconds)*time.Second, p.kill)
	p.stop()
}

// stop has the containers end, then removes the pod from the API.
func (p *pod) stop() {
	p.mu.Lock()
	already := p.ending
	p.ending = true
	p.mu.Unlock()
	if !already {
		p.event(v1.EventTypeNormal, "Killing", "Stopping the containers")
		p.end()
		go p.remove()
	}
}

// forget ends what is left of a pod that the API no longer has.
func (p *pod) forget() {
	p.end()
	p.kill()
	<-p.ended
	p.node.network.leave(p.address)
	_ = os.RemoveAll(p.directory)
	_ = os.RemoveAll(p.logs)
}

// container returns the container of that name, or nil.
func (p *pod) container(name string) *container {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, containers := range [][]*container{p.containers, p.init, p.ephemeral} {
		for _, c := range containers {
			if c.spec.Name == name {
				return c
			}
		}
	}
	return nil
}

// object is the pod as the API server last told it.
func (p *pod) object() *v1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest
}

// port is the host's port for a port of the pod.
func (p *pod) port(port int32) int32 {
	if mapped, declared := p.ports[port]; declared {
		return mapped
	}
	return port
}

func (p *pod) event(kind, reason, message string) {
	p.node.recorder.Event(p.object(), kind, reason, message)
}

func isSidecar(container *v1.Container) bool {
	return container.RestartPolicy != nil && *container.RestartPolicy == v1.ContainerRestartPolicyAlways
}

// initPolicy is how an init container restarts in a pod of the policy.
func initPolicy(policy v1.RestartPolicy) v1.RestartPolicy {
	if policy == v1.RestartPolicyAlways {
		return v1.RestartPolicyOnFailure
	}
	return policy
}
