package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/util/flushwriter"
	criapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	// Registers how a query becomes v1.PodLogOptions.
	_ "k8s.io/kubernetes/pkg/apis/core/install"
)

func (n *Node) serveLogs(w http.ResponseWriter, r *http.Request) {
	options := &v1.PodLogOptions{}
	if err := legacyscheme.ParameterCodec.DecodeParameters(r.URL.Query(), v1.SchemeGroupVersion, options); err != nil {
		http.Error(w, "Unable to decode query.", http.StatusBadRequest)
		return
	}
	name, containerName := r.PathValue("pod"), r.PathValue("container")
	p := n.pod(r.PathValue("namespace"), name)
	if p == nil {
		http.Error(w, fmt.Sprintf("pod %q does not exist", name), http.StatusNotFound)
		return
	}
	c := p.container(containerName)
	if c == nil {
		http.Error(w, fmt.Sprintf("container %q not found in pod %q", containerName, name), http.StatusNotFound)
		return
	}
	path, id, err := c.log(options.Previous)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	stdout, stderr := streams(flushwriter.Wrap(w), options.Stream)
	// The head goes out at once, as the kubelet's does, although there may be nothing to read yet.
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	_ = logs.ReadLogs(r.Context(), path, id, readOptions(options), containerRuntime{container: c}, stdout, stderr)
}

// log finds the log of the container's run, or of the one before.
func (c *container) log(previous bool) (path, id string, err error) {
	c.pod.mu.Lock()
	defer c.pod.mu.Unlock()
	switch {
	case previous && c.last.Terminated == nil:
		return "", "", fmt.Errorf("previous terminated container %q in pod %q not found", c.spec.Name, c.pod.name)
	case c.state.Waiting != nil && c.last.Terminated != nil:
		return c.logPath(c.restarts), c.last.Terminated.ContainerID, nil
	case previous:
		return c.logPath(c.restarts - 1), c.last.Terminated.ContainerID, nil
	case c.state.Waiting != nil:
		return "", "", fmt.Errorf("container %q in pod %q is waiting to start: %s", c.spec.Name, c.pod.name, c.state.Waiting.Reason)
	default:
		return c.logPath(c.restarts), c.fullID(), nil
	}
}

func streams(to io.Writer, wanted *string) (stdout, stderr io.Writer) {
	switch {
	case wanted != nil && *wanted == v1.LogStreamStdout:
		return to, nil
	case wanted != nil && *wanted == v1.LogStreamStderr:
		return nil, to
	default:
		return to, to
	}
}

func readOptions(options *v1.PodLogOptions) *logs.LogOptions {
	read := &logs.LogOptions{
		TailLines:  options.TailLines,
		LimitBytes: options.LimitBytes,
		Follow:     options.Follow,
		Timestamp:  options.Timestamps,
	}
	if options.SinceSeconds != nil {
		read.Since = time.Now().Add(-time.Duration(*options.SinceSeconds) * time.Second)
	}
	if options.SinceTime != nil && options.SinceTime.After(read.Since) {
		read.Since = options.SinceTime.Time
	}
	return read
}

// containerRuntime tells the log reader whether the container still runs, the one thing it asks of a runtime.
type containerRuntime struct {
	criapi.RuntimeService
	container *container
}

// ContainerStatus implements criapi.RuntimeService.
func (r containerRuntime) ContainerStatus(_ context.Context, id string, _ bool) (*runtimeapi.ContainerStatusResponse, error) {
	r.container.pod.mu.Lock()
	defer r.container.pod.mu.Unlock()
	state := runtimeapi.ContainerState_CONTAINER_EXITED
	if r.container.process != nil && r.container.fullID() == id {
		state = runtimeapi.ContainerState_CONTAINER_RUNNING
	}
	return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{Id: id, State: state}}, nil
}
