// Package lifetime ties child processes to the life of their parent, so that
// nothing outlives a control plane however it ends.
package lifetime

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

// parentVariable names the process that a subcommand must not outlive.
const parentVariable = "POSTERN_SANDBOX_PARENT"

// spawner runs the functions handed to it on one operating system thread that
// never ends: Linux sends the parent death signal when the forking thread ends,
// not the process (golang/go#27505).
var spawner = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// children are the processes started here and not yet waited for.
var children sync.Map

// Start starts cmd so that the kernel, where it can, sends it the signal when
// this process dies. The caller waits for it with Wait.
func Start(cmd *exec.Cmd, onParentDeath syscall.Signal) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	signalOnParentDeath(cmd.SysProcAttr, onParentDeath)
	result := make(chan error, 1)
	spawner() <- func() {
		err := cmd.Start()
		if err == nil {
			children.Store(cmd.Process.Pid, nil)
		}
		result <- err
	}
	return <-result
}

// Wait waits for a command that Start started.
func Wait(cmd *exec.Cmd) error {
	defer children.Delete(cmd.Process.Pid)
	return cmd.Wait()
}

// Environment returns the variable that makes a subcommand of this binary end with this process.
func Environment() string {
	return parentVariable + "=" + strconv.Itoa(os.Getpid())
}
