package node

import (
	"context"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// runPods runs the pods that are bound to the node. When the context ends it
// ends them all, and returns when none has a process left.
func (n *Node) runPods(ctx context.Context) {
	factory := informers.NewSharedInformerFactoryWithOptions(n.client, 0, informers.WithTweakListOptions(func(options *metav1.ListOptions) {
		options.FieldSelector = "spec.nodeName=" + n.Name
	}))
	_, _ = factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { n.observe(ctx, object.(*v1.Pod)) },
		UpdateFunc: func(_, object any) { n.observe(ctx, object.(*v1.Pod)) },
		DeleteFunc: n.lose,
	})
	factory.Start(ctx.Done())
	<-ctx.Done()
	for _, p := range n.all() {
		p.kill()
		<-p.ended
	}
}

// observe is told of each pod and each change of one, in order.
func (n *Node) observe(ctx context.Context, object *v1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, known := n.pods[object.UID]
	switch {
	case known:
		p.update(object)
	case object.DeletionTimestamp != nil:
		go n.delete(ctx, object)
	case object.Status.Phase == v1.PodSucceeded, object.Status.Phase == v1.PodFailed:
	default:
		started, err := n.startPod(ctx, object)
		if err != nil {
			klog.ErrorS(err, "The pod was not started", "pod", klog.KObj(object))
			return
		}
		n.pods[object.UID] = started
	}
}

// lose is told of each pod that the API no longer has.
func (n *Node) lose(object any) {
	if last, missed := object.(cache.DeletedFinalStateUnknown); missed {
		object = last.Obj
	}
	uid := object.(*v1.Pod).UID
	n.mu.Lock()
	defer n.mu.Unlock()
	if p, known := n.pods[uid]; known {
		delete(n.pods, uid)
		go p.forget()
	}
}
