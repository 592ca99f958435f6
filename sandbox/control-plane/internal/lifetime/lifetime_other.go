//go:build !linux

package lifetime

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

func signalOnParentDeath(*syscall.SysProcAttr, syscall.Signal) {}

// EndWithParent ends this process when the one named in its environment is no longer its parent.
func EndWithParent() {
	parent, err := strconv.Atoi(os.Getenv(parentVariable))
	if err != nil {
		return
	}
	go func() {
		for range time.Tick(500 * time.Millisecond) {
			if os.Getppid() != parent {
				os.Exit(1)
			}
		}
	}()
}

// AdoptOrphans is not to be had on this system.
func AdoptOrphans() {}

// KillDescendants kills the process groups of this process' children.
func KillDescendants() {
	children.Range(func(pid, _ any) bool {
		_ = syscall.Kill(-pid.(int), syscall.SIGKILL)
		return true
	})
}

// KillMarked is not to be had on this system, where a container is its process group.
func KillMarked(string) {}
