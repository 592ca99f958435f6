package lifetime

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func signalOnParentDeath(attributes *syscall.SysProcAttr, signal syscall.Signal) {
	attributes.Pdeathsig = signal
}

// EndWithParent is done by the kernel here.
func EndWithParent() {}

// AdoptOrphans makes every descendant whose parent dies a child of this
// process, so that none escapes KillDescendants, and reaps those that end.
func AdoptOrphans() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	go func() {
		for range time.Tick(2 * time.Second) {
			reapOrphans()
		}
	}()
}

func reapOrphans() {
	self := os.Getpid()
	for _, process := range processes() {
		if _, own := children.Load(process.pid); process.parent == self && process.state == 'Z' && !own {
			_, _ = syscall.Wait4(process.pid, nil, syscall.WNOHANG, nil)
		}
	}
}

// KillDescendants kills every process below this one and returns when none is left.
func KillDescendants() {
	for {
		living := descendants(os.Getpid())
		if len(living) == 0 {
			return
		}
		for _, pid := range living {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond)
		reapOrphans()
	}
}

// KillMarked kills every process whose environment holds the variable, and
// returns when none is left. It is what ending a control group is to a
// container runtime.
func KillMarked(variable string) {
	for {
		found := false
		for _, process := range processes() {
			if process.state != 'Z' && process.pid != os.Getpid() && hasVariable(process.pid, variable) {
				found = true
				_ = syscall.Kill(process.pid, syscall.SIGKILL)
			}
		}
		if !found {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func hasVariable(pid int, variable string) bool {
	environment, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(environment, []byte{0}) {
		if string(entry) == variable {
			return true
		}
	}
	return false
}

// process is a row of the process table.
type process struct {
	pid, parent int
	state       byte
}

func processes() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	table := make([]process, 0, len(entries))
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			continue
		}
		// pid (comm) state ppid …, where comm may hold anything.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		table = append(table, process{pid: pid, parent: parent, state: fields[0][0]})
	}
	return table
}

// descendants returns the living processes below root.
func descendants(root int) []int {
	below := map[int][]process{}
	for _, process := range processes() {
		below[process.parent] = append(below[process.parent], process)
	}
	var living []int
	pending := []int{root}
	for len(pending) > 0 {
		parent := pending[0]
		pending = pending[1:]
		for _, child := range below[parent] {
			pending = append(pending, child.pid)
			if child.state != 'Z' {
				living = append(living, child.pid)
			}
		}
	}
	return living
}
