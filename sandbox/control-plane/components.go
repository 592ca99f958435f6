package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	// The credential plugins that kubectl's own main registers.
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	// The metrics and JSON log format that the components' own mains register.
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

func etcd() int {
	etcdmain.Main(os.Args)
	return 0
}

func kubeAPIServer() int         { return cli.Run(apiserver.NewAPIServerCommand()) }
func kubeControllerManager() int { return cli.Run(controllermanager.NewControllerManagerCommand()) }
func kubeScheduler() int         { return cli.Run(scheduler.NewSchedulerCommand()) }

// kubectl does what k8s.io/kubernetes/cmd/kubectl does, so that messages and exit codes are its own.
func kubectl() int {
	_, _ = logs.GlogSetter(cmd.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
	return 0
}
