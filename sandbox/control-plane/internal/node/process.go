package node

import (
	"context"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"postern.dev/sandbox/control-plane/internal/lifetime"
)

const (
	// quiet is how long an ended process' output may pause before it counts as
	// complete, although a process left in the background still holds it.
	quiet = 500 * time.Millisecond
	// hangUpGrace is how long a process may live on after SIGHUP.
	hangUpGrace = 300 * time.Millisecond
	blockBytes  = 32 << 10
)

// command is what a process is started from.
type command struct {
	arguments   []string
	environment []string
	directory   string
	// mark is a variable of the environment that tells the process' descendants from all others.
	mark     string
	terminal bool
	stdin    bool
}

// process is a running command.
type process struct {
	mark     string
	cmd      *exec.Cmd
	terminal *os.File
	stdin    *os.File
	outputs  []*os.File
	copied   sync.WaitGroup
	// ended is closed when the process has ended, done when its output is complete as well.
	ended, done chan struct{}
}

// start runs the command with its output going to the writers, which the
// process does not close. With a terminal everything goes to stdout.
func start(command command, stdout, stderr io.Writer) (*process, error) {
	p := &process{
		mark:  command.mark,
		cmd:   exec.Command(command.arguments[0], command.arguments[1:]...),
		ended: make(chan struct{}),
		done:  make(chan struct{}),
	}
	if p.cmd.Err != nil {
		return nil, p.cmd.Err
	}
	p.cmd.Dir = command.directory
	p.cmd.Env = append(command.environment, command.mark)

	var theirs, ours []*os.File
	var err error
	if command.terminal {
		theirs, ours, err = p.withTerminal()
	} else {
		theirs, ours, err = p.withPipes(command.stdin)
	}
	if err == nil {
		err = lifetime.Start(p.cmd, syscall.SIGKILL)
	}
	closeAll(theirs)
	if err != nil {
		closeAll(ours)
		return nil, err
	}
	for i, writer := range []io.Writer{stdout, stderr}[:len(p.outputs)] {
		p.copied.Go(func() { p.copyOutput(writer, p.outputs[i]) })
	}
	go p.wait(ours)
	return p, nil
}

// withTerminal connects the command to a new terminal, in a session of its own.
func (p *process) withTerminal() (theirs, ours []*os.File, err error) {
	controller, terminal, err := openTerminal()
	if err != nil {
		return nil, nil, err
	}
	p.terminal, p.stdin, p.outputs = controller, controller, []*os.File{controller}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = terminal, terminal, terminal
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return []*os.File{terminal}, []*os.File{controller}, nil
}

// withPipes connects the command to pipes, in a process group of its own.
func (p *process) withPipes(stdin bool) (theirs, ours []*os.File, err error) {
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, end := range []*io.Writer{&p.cmd.Stdout, &p.cmd.Stderr} {
		read, write, err := os.Pipe()
		if err != nil {
			return theirs, ours, err
		}
		theirs, ours = append(theirs, write), append(ours, read)
		p.outputs = append(p.outputs, read)
		*end = write
	}
	if stdin {
		read, write, err := os.Pipe()
		if err != nil {
			return theirs, ours, err
		}
		theirs, ours = append(theirs, read), append(ours, write)
		p.cmd.Stdin, p.stdin = read, write
	}
	return theirs, ours, nil
}

// openTerminal returns both sides of a new pseudo terminal, the controller's side with deadlines.
func openTerminal() (controller, terminal *os.File, err error) {
	opened, terminal, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer opened.Close()
	descriptor, err := unix.FcntlInt(opened.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(descriptor, true)
	}
	if err != nil {
		terminal.Close()
		return nil, nil, err
	}
	return os.NewFile(uintptr(descriptor), opened.Name()), terminal, nil
}

// copyOutput ends at the end of the output, at the first error of the writer,
// or when the process has ended and the output pauses.
func (p *process) copyOutput(to io.Writer, from *os.File) {
	block := make([]byte, blockBytes)
	for {
		if p.hasEnded() {
			_ = from.SetReadDeadline(time.Now().Add(quiet))
		}
		n, err := from.Read(block)
		if n > 0 {
			if _, err := to.Write(block[:n]); err != nil {
				if p.terminal == nil {
					from.Close()
				}
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *process) wait(ours []*os.File) {
	_ = lifetime.Wait(p.cmd)
	close(p.ended)
	for _, output := range p.outputs {
		_ = output.SetReadDeadline(time.Now().Add(quiet))
	}
	p.copied.Wait()
	closeAll(ours)
	close(p.done)
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// code is the exit code, once the process has ended; 128 and the number of the signal that ended it.
func (p *process) code() int {
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// closeStdin ends the process' input. A terminal has no end.
func (p *process) closeStdin() {
	if p.terminal == nil && p.stdin != nil {
		p.stdin.Close()
	}
}

// resize tells the process the size of its terminal.
func (p *process) resize(columns, rows uint16) {
	if p.terminal == nil {
		return
	}
	connection, err := p.terminal.SyscallConn()
	if err != nil {
		return
	}
	_ = connection.Control(func(descriptor uintptr) {
		_ = unix.IoctlSetWinsize(int(descriptor), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	})
}

// stop asks the process to end, waits until it does or is overdue, and ends what is left of it.
func (p *process) stop(overdue context.Context) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-overdue.Done():
	}
	p.kill()
}

// hangUp tells the process' group that nobody is there any more, and ends all of it soon after.
func (p *process) hangUp() {
	p.signalGroup(syscall.SIGHUP)
	select {
	case <-p.ended:
	case <-time.After(hangUpGrace):
	}
	p.kill()
}

// kill ends the process, its group and its descendants, and returns when its output is complete.
func (p *process) kill() {
	p.signalGroup(syscall.SIGKILL)
	lifetime.KillMarked(p.mark)
	<-p.done
}

// signalGroup does nothing once the process has ended, when the number may be another's; KillMarked finds the rest.
func (p *process) signalGroup(signal syscall.Signal) {
	if !p.hasEnded() {
		_ = syscall.Kill(-p.cmd.Process.Pid, signal)
	}
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}
