package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"postern.dev/sandbox/control-plane/internal/lifetime"
)

const (
	// tailLines is how much of a failed component's log an error shows.
	tailLines = 15
	// stopGrace is how long the node may take to end its containers.
	stopGrace = 5 * time.Second
)

// components are the processes of a control plane.
type components struct {
	layout layout
	// ended is told of a component that ended by itself.
	ended   context.CancelCauseFunc
	running []*component
	// stopping is whether components are ended on purpose.
	mu       sync.Mutex
	stopping bool
}

type component struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
}

// start starts a subcommand of this binary that ends when this process does.
func (c *components) start(name string, arguments ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(c.layout.log(name))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, append([]string{name}, arguments...)...)
	cmd.Dir = string(c.layout)
	cmd.Env = append(os.Environ(), lifetime.Environment())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// The node ends its containers before itself.
	onParentDeath := syscall.SIGKILL
	if name == "node" {
		onParentDeath = syscall.SIGTERM
	}
	if err := lifetime.Start(cmd, onParentDeath); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	started := &component{name: name, cmd: cmd, done: make(chan struct{})}
	c.running = append(c.running, started)
	go func() {
		_ = lifetime.Wait(cmd)
		close(started.done)
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.stopping {
			c.ended(fmt.Errorf("%s ended (%v); the end of its log:\n%s", name, cmd.ProcessState, c.tail(name)))
		}
	}()
	return nil
}

// stop ends the node, which ends its containers, and then the others at once:
// nothing they hold outlives the directory.
func (c *components) stop() {
	c.mu.Lock()
	c.stopping = true
	c.mu.Unlock()
	for _, component := range c.running {
		if component.name == "node" {
			_ = component.cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-component.done:
			case <-time.After(stopGrace):
			}
		}
	}
	for _, component := range c.running {
		_ = component.cmd.Process.Kill()
		<-component.done
	}
}

// tail returns the last lines of a component's log.
func (c *components) tail(name string) string {
	content, err := os.ReadFile(c.layout.log(name))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
