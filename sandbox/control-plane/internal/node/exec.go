package node

import (
	"context"
	"fmt"
	"io"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// executor runs commands in a container.
type executor struct{ container *container }

// ExecInContainer runs the command until it ends, or until the client is gone,
// which ends the command's whole process group.
func (e executor) ExecInContainer(ctx context.Context, _, _, _ string, arguments []string, in io.Reader, out, err io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	environment, failure := e.container.environment(ctx)
	if failure != nil {
		return failure
	}
	if tty {
		environment["TERM"] = "xterm"
	}
	e.container.pod.mu.Lock()
	id := e.container.id
	e.container.pod.mu.Unlock()
	process, failure := start(command{
		arguments:   arguments,
		environment: append(list(environment), markVariable+id),
		directory:   e.container.workingDirectory(),
		mark:        "POSTERN_SANDBOX_EXEC=" + newID(),
		terminal:    tty,
		stdin:       in != nil,
	}, writer(out), writer(err))
	if failure != nil {
		return fmt.Errorf("failed to exec in container: failed to start exec: %w", failure)
	}
	go resizeTerminal(process, resize)
	if in != nil {
		go func() {
			_, _ = io.Copy(process.stdin, in)
			process.closeStdin()
		}()
	}
	select {
	case <-process.done:
	case <-ctx.Done():
		process.hangUp()
	}
	if code := process.code(); code != 0 {
		return utilexec.CodeExitError{Code: code, Err: fmt.Errorf("error executing command %v, exit code %d", arguments, code)}
	}
	return nil
}

// resizeTerminal passes sizes on until there are no more.
func resizeTerminal(process *process, sizes <-chan remotecommand.TerminalSize) {
	for size := range sizes {
		process.resize(size.Width, size.Height)
	}
}

// writer is where output goes that the client did or did not ask for.
func writer(asked io.WriteCloser) io.Writer {
	if asked == nil {
		return io.Discard
	}
	return asked
}
