package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/ptr"
)

const (
	runtimeName = "sandbox"
	// markVariable tells a container's processes from all others.
	markVariable = "POSTERN_SANDBOX_CONTAINER="

	firstBackOff   = 10 * time.Second
	longestBackOff = 5 * time.Minute
	// startErrorCode is what runtimes report when the command cannot be started.
	startErrorCode = 128
)

// container is one container of a pod, over all its restarts. The pod's lock guards it.
type container struct {
	pod       *pod
	spec      *v1.Container
	directory string
	logs      string

	id       string
	image    string
	restarts int32
	state    v1.ContainerState
	last     v1.ContainerState
	process  *process
	output   *output
}

func newContainer(pod *pod, spec *v1.Container, reason string) *container {
	return &container{
		pod:       pod,
		spec:      spec,
		directory: filepath.Join(pod.directory, spec.Name),
		logs:      filepath.Join(pod.logs, spec.Name),
		image:     spec.Image,
		state:     v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason}},
	}
}

// run runs the container until it has ended for good or the context is done,
// and returns whether its last run succeeded.
func (c *container) run(ctx context.Context, policy v1.RestartPolicy) bool {
	backOff := time.Duration(0)
	for {
		code, err := c.runOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			if !sleep(ctx, 2*time.Second) {
				return false
			}
			continue
		case policy == v1.RestartPolicyNever, policy == v1.RestartPolicyOnFailure && code == 0:
			return code == 0
		}
		if !c.awaitRestart(ctx, backOff) {
			return false
		}
		backOff = min(max(2*backOff, firstBackOff), longestBackOff)
	}
}

// runOnce starts the container and waits for its end. An error means that it
// could not be prepared; the state tells why.
func (c *container) runOnce(ctx context.Context) (int, error) {
	environment, err := c.environment(ctx)
	if err == nil {
		err = os.MkdirAll(c.workingDirectory(), 0o755)
	}
	if err != nil {
		c.set(func() {
			c.state = v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: err.Error()}}
		})
		return 0, err
	}
	log, err := c.openLog()
	if err != nil {
		return 0, err
	}
	defer log.Close()

	id := newID()
	output := newOutput()
	stdout := &logWriter{output: output, name: runtimeapi.Stdout, file: log}
	stderr := &logWriter{output: output, name: runtimeapi.Stderr, file: log}
	process, err := start(command{
		arguments:   expandAll(arguments(c.spec), environment),
		environment: list(environment),
		directory:   c.workingDirectory(),
		mark:        markVariable + id,
		terminal:    c.spec.TTY,
		stdin:       c.spec.Stdin,
	}, stdout, stderr)
	started := metav1.Now()
	if err != nil {
		c.finish(id, started, startErrorCode, "StartError", fmt.Sprintf("failed to start container: %v", err))
		return startErrorCode, nil
	}
	c.set(func() {
		c.id, c.process, c.output = id, process, output
		c.state = v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: started}}
	})
	c.pod.event(v1.EventTypeNormal, "Started", "Started container "+c.spec.Name)

	select {
	case <-process.done:
	case <-ctx.Done():
		process.stop(c.pod.overdue)
	}
	process.kill()
	stdout.flush()
	stderr.flush()
	code := process.code()
	c.finish(id, started, code, "", "")
	return code, nil
}

func (c *container) finish(id string, started metav1.Time, code int, reason, message string) {
	if reason == "" {
		reason = map[bool]string{true: "Completed", false: "Error"}[code == 0]
	}
	c.set(func() {
		c.id, c.process = id, nil
		c.state = v1.ContainerState{Terminated: &v1.ContainerStateTerminated{
			ExitCode: int32(code), Reason: reason, Message: message,
			StartedAt: started, FinishedAt: metav1.Now(), ContainerID: c.fullID(),
		}}
	})
}

// awaitRestart waits for the time of the next run, and returns false when the context ended first.
func (c *container) awaitRestart(ctx context.Context, backOff time.Duration) bool {
	c.set(func() {
		c.last = c.state
		if backOff > 0 {
			c.state = v1.ContainerState{Waiting: &v1.ContainerStateWaiting{
				Reason:  "CrashLoopBackOff",
				Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s", backOff, c.spec.Name, c.pod.name, c.pod.namespace),
			}}
		}
	})
	if backOff > 0 {
		c.pod.event(v1.EventTypeWarning, "BackOff", "Back-off restarting failed container "+c.spec.Name)
	}
	if !sleep(ctx, backOff) {
		return false
	}
	c.set(func() { c.restarts++ })
	return true
}

// set changes the container under the pod's lock and has the pod report it.
func (c *container) set(change func()) {
	c.pod.mu.Lock()
	change()
	c.pod.mu.Unlock()
	c.pod.changed()
}

// running returns the container's process and output, or nil.
func (c *container) running() (*process, *output) {
	c.pod.mu.Lock()
	defer c.pod.mu.Unlock()
	return c.process, c.output
}

func (c *container) fullID() string {
	if c.id == "" {
		return ""
	}
	return runtimeName + "://" + c.id
}

func (c *container) workingDirectory() string {
	if filepath.IsLocal(c.spec.WorkingDir) || filepath.IsAbs(c.spec.WorkingDir) {
		return filepath.Join(c.directory, c.spec.WorkingDir)
	}
	return c.directory
}

// openLog creates the log of the run to come.
func (c *container) openLog() (*os.File, error) {
	if err := os.MkdirAll(c.logs, 0o755); err != nil {
		return nil, err
	}
	c.pod.mu.Lock()
	path := c.logPath(c.restarts)
	c.pod.mu.Unlock()
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o644)
}

func (c *container) logPath(restarts int32) string {
	return filepath.Join(c.logs, strconv.Itoa(int(restarts))+".log")
}

// status is the container's part of the pod's status. The caller holds the pod's lock.
func (c *container) status() v1.ContainerStatus {
	running := c.state.Running != nil
	return v1.ContainerStatus{
		Name:                 c.spec.Name,
		Image:                c.image,
		ImageID:              runtimeName + "://" + c.image,
		ContainerID:          c.fullID(),
		State:                c.state,
		LastTerminationState: c.last,
		RestartCount:         c.restarts,
		Ready:                running,
		Started:              ptr.To(running),
	}
}

func newID() string {
	id := make([]byte, 32)
	_, _ = rand.Read(id)
	return hex.EncodeToString(id)
}

// sleep returns false when the context ended first.
func sleep(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}
