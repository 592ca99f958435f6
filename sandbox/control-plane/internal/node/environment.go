package node

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// environment returns the variables of the container: a few of the node's, the
// ports it may listen on, then its own.
//
// PORT_8080 is the port of the host that stands for the declared containerPort
// 8080, and PORT the one for the first that is declared.
func (c *container) environment(ctx context.Context) (map[string]string, error) {
	pod := c.pod.object()
	variables := map[string]string{
		"PATH":     os.Getenv("PATH"),
		"HOME":     c.directory,
		"HOSTNAME": pod.Name,
	}
	if c.spec.TTY {
		variables["TERM"] = "xterm"
	}
	for i, port := range c.spec.Ports {
		mapped := strconv.Itoa(int(c.pod.port(port.ContainerPort)))
		variables["PORT_"+strconv.Itoa(int(port.ContainerPort))] = mapped
		if i == 0 {
			variables["PORT"] = mapped
		}
	}
	for _, source := range c.spec.EnvFrom {
		values, err := c.pod.sources(ctx, source)
		if err != nil {
			return nil, err
		}
		for name, value := range values {
			variables[source.Prefix+name] = value
		}
	}
	for _, variable := range c.spec.Env {
		value, found, err := c.pod.value(ctx, variable)
		if err != nil {
			return nil, err
		}
		if found {
			variables[variable.Name] = expansion.Expand(value, expansion.MappingFuncFor(variables))
		}
	}
	return variables, nil
}

// sources returns all entries of a config map or a secret.
func (p *pod) sources(ctx context.Context, source v1.EnvFromSource) (map[string]string, error) {
	switch {
	case source.ConfigMapRef != nil:
		return p.configMap(ctx, source.ConfigMapRef.Name)
	case source.SecretRef != nil:
		return p.secret(ctx, source.SecretRef.Name)
	default:
		return nil, nil
	}
}

// value returns a variable's value, and whether there is one.
func (p *pod) value(ctx context.Context, variable v1.EnvVar) (string, bool, error) {
	from := variable.ValueFrom
	switch {
	case from == nil:
		return variable.Value, true, nil
	case from.FieldRef != nil:
		value, err := p.field(from.FieldRef.FieldPath)
		return value, true, err
	case from.ConfigMapKeyRef != nil:
		values, err := p.configMap(ctx, from.ConfigMapKeyRef.Name)
		return entry(values, err, from.ConfigMapKeyRef.Key, from.ConfigMapKeyRef.Optional)
	case from.SecretKeyRef != nil:
		values, err := p.secret(ctx, from.SecretKeyRef.Name)
		return entry(values, err, from.SecretKeyRef.Key, from.SecretKeyRef.Optional)
	default:
		return "", false, nil
	}
}

func (p *pod) field(path string) (string, error) {
	pod := p.object()
	switch path {
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		return Address, nil
	case "status.podIP", "status.podIPs":
		return p.address.String(), nil
	default:
		return fieldpath.ExtractFieldPathAsString(pod, path)
	}
}

func (p *pod) configMap(ctx context.Context, name string) (map[string]string, error) {
	object, err := p.node.client.CoreV1().ConfigMaps(p.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return object.Data, nil
}

func (p *pod) secret(ctx context.Context, name string) (map[string]string, error) {
	object, err := p.node.client.CoreV1().Secrets(p.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	values := make(map[string]string, len(object.Data))
	for key, value := range object.Data {
		values[key] = string(value)
	}
	return values, nil
}

func entry(values map[string]string, err error, key string, optional *bool) (string, bool, error) {
	value, found := values[key]
	switch {
	case found:
		return value, true, nil
	case optional != nil && *optional:
		return "", false, nil
	case err != nil:
		return "", false, err
	default:
		return "", false, fmt.Errorf("couldn't find key %s", key)
	}
}

// expandAll replaces $(NAME) in each argument.
func expandAll(arguments []string, variables map[string]string) []string {
	expanded := make([]string, len(arguments))
	for i, argument := range arguments {
		expanded[i] = expansion.Expand(argument, expansion.MappingFuncFor(variables))
	}
	return expanded
}

func list(variables map[string]string) []string {
	entries := make([]string, 0, len(variables)+1)
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		entries = append(entries, name+"="+variables[name])
	}
	return entries
}
