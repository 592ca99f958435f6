package node

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	statusutil "k8s.io/kubernetes/pkg/util/pod"
	"k8s.io/utils/ptr"
)

const retryReport = time.Second

// changed has the pod's status reported soon.
func (p *pod) changed() {
	select {
	case p.unreported <- struct{}{}:
	default:
	}
}

// keepReporting reports each change until the context ends.
func (p *pod) keepReporting(ctx context.Context) {
	p.changed()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.unreported:
		}
		if err := p.reportStatus(ctx); err != nil && sleep(ctx, retryReport) {
			p.changed()
		}
	}
}

// reportStatus brings the status that the API server has up to date.
func (p *pod) reportStatus(ctx context.Context) error {
	p.reporting.Lock()
	defer p.reporting.Unlock()
	p.mu.Lock()
	status := p.status()
	p.mu.Unlock()
	if status.Phase == p.reported.Phase && (status.Phase == v1.PodSucceeded || status.Phase == v1.PodFailed) {
		return nil
	}
	_, _, _, err := statusutil.PatchPodStatus(ctx, p.node.client, p.namespace, p.name, p.uid, p.reported, *status)
	if err != nil {
		if ctx.Err() == nil {
			klog.InfoS("The status was not reported", "pod", p.namespace+"/"+p.name, "err", err)
		}
		return err
	}
	p.reported = *status
	return nil
}

// remove reports how the pod ended and takes it out of the API.
func (p *pod) remove() {
	<-p.ended
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = p.reportStatus(ctx)
	p.node.delete(ctx, p.object())
}

// delete takes a pod that has ended out of the API.
func (n *Node) delete(ctx context.Context, object *v1.Pod) {
	for {
		err := n.client.CoreV1().Pods(object.Namespace).Delete(ctx, object.Name, metav1.DeleteOptions{
			GracePeriodSeconds: ptr.To[int64](0),
			Preconditions:      metav1.NewUIDPreconditions(string(object.UID)),
		})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || !sleep(ctx, retryReport) {
			return
		}
	}
}

// status is what the pod's status should be. The caller holds both locks.
func (p *pod) status() *v1.PodStatus {
	status := p.reported.DeepCopy()
	status.ObservedGeneration = p.latest.Generation
	status.Phase = p.phase()
	status.StartTime = ptr.To(p.started)
	status.HostIP, status.HostIPs = Address, []v1.HostIP{{IP: Address}}
	status.PodIP, status.PodIPs = p.address.String(), []v1.PodIP{{IP: p.address.String()}}
	status.InitContainerStatuses = statuses(p.init)
	status.ContainerStatuses = statuses(p.containers)
	status.EphemeralContainerStatuses = statuses(p.ephemeral)

	reason := "ContainersNotReady"
	if status.Phase == v1.PodSucceeded {
		reason = "PodCompleted"
	}
	p.condition(status, v1.PodReadyToStartContainers, !p.finished, "")
	p.condition(status, v1.PodInitialized, p.initialized(), "ContainersNotInitialized")
	p.condition(status, v1.ContainersReady, p.ready(), reason)
	p.condition(status, v1.PodReady, p.ready(), reason)
	return status
}

func (p *pod) condition(status *v1.PodStatus, kind v1.PodConditionType, holds bool, reason string) {
	condition := v1.PodCondition{Type: kind, Status: v1.ConditionTrue, ObservedGeneration: p.latest.Generation}
	if !holds {
		condition.Status, condition.Reason = v1.ConditionFalse, reason
	}
	podutil.UpdatePodCondition(status, &condition)
}

func (p *pod) phase() v1.PodPhase {
	started := false
	failed := !p.initialized()
	for _, c := range p.containers {
		started = started || c.state.Running != nil || c.state.Terminated != nil || c.restarts > 0
		failed = failed || c.state.Terminated == nil || c.state.Terminated.ExitCode != 0
	}
	switch {
	case p.finished && failed:
		return v1.PodFailed
	case p.finished:
		return v1.PodSucceeded
	case started:
		return v1.PodRunning
	default:
		return v1.PodPending
	}
}

func (p *pod) initialized() bool {
	for _, c := range p.init {
		if isSidecar(c.spec) {
			if c.state.Running == nil && !p.finished {
				return false
			}
		} else if c.state.Terminated == nil || c.state.Terminated.ExitCode != 0 {
			return false
		}
	}
	return true
}

func (p *pod) ready() bool {
	for _, c := range p.containers {
		if c.state.Running == nil {
			return false
		}
	}
	return !p.finished
}

func statuses(containers []*container) []v1.ContainerStatus {
	var statuses []v1.ContainerStatus
	for _, c := range containers {
		statuses = append(statuses, c.status())
	}
	return statuses
}
