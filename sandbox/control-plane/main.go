// Command control-plane is a whole Kubernetes control plane in one binary, for
// demonstrations, tests and benchmarks on one machine.
//
// Each component is a subcommand that runs as the component's own main does;
// "up" starts them all together. Invoked through a file named kubectl, it is
// kubectl.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	"k8s.io/component-base/version"

	"postern.dev/sandbox/control-plane/internal/certificates"
	"postern.dev/sandbox/control-plane/internal/cluster"
	"postern.dev/sandbox/control-plane/internal/lifetime"
	"postern.dev/sandbox/control-plane/internal/node"
	"postern.dev/sandbox/control-plane/internal/web"
)

// subcommands read their arguments from os.Args, whose first entry is their own name.
var subcommands = map[string]func() int{
	"certificates":            certificates.Main,
	"etcd":                    etcd,
	"kube-apiserver":          kubeAPIServer,
	"kube-controller-manager": kubeControllerManager,
	"kube-scheduler":          kubeScheduler,
	"kubectl":                 kubectl,
	"node":                    node.Main,
	"up":                      cluster.Main,
	"version":                 printVersion,
	"web":                     web.Main,
}

func main() {
	lifetime.EndWithParent()
	if run, found := subcommands[filepath.Base(os.Args[0])]; found {
		os.Exit(run())
	}
	if len(os.Args) < 2 {
		usage(os.Stderr)
		os.Exit(2)
	}
	run, found := subcommands[os.Args[1]]
	if !found {
		usage(os.Stderr)
		os.Exit(2)
	}
	os.Args = os.Args[1:]
	os.Exit(run())
}

func usage(out io.Writer) {
	names := make([]string, 0, len(subcommands))
	for name := range subcommands {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintln(out, "usage: control-plane SUBCOMMAND [ARGUMENT]...")
	for _, name := range names {
		fmt.Fprintln(out, "  "+name)
	}
}

func printVersion() int {
	fmt.Println(version.Get().GitVersion)
	return 0
}
