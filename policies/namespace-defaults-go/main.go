// Gives each namespace a NetworkPolicy that lets in only what comes from the same namespace, and takes it away where a label says that
// the namespace is open.
package main

import (
	"slices"

	"verdict.dev/policy"
	"verdict.dev/policy/changes"
)

type settings struct {
	// ExemptNamespaces are left alone.
	ExemptNamespaces []string `json:"exemptNamespaces"`
}

type namespace struct {
	Metadata struct {
		Labels            map[string]string `json:"labels"`
		DeletionTimestamp string            `json:"deletionTimestamp"`
	} `json:"metadata"`
}

type object map[string]any

const (
	label = "example.org/network"
	open  = "open"
)

var exempt []string

func init() {
	policy.Init(func(s settings) error {
		exempt = s.ExemptNamespaces
		return nil
	})
	changes.Export(handle)
}

func main() {}

func handle(change *changes.Change) ([]changes.Action, error) {
	key, err := change.Key()
	if err != nil {
		return nil, err
	}
	var it namespace
	if err := change.DecodeObject(&it); err != nil {
		return nil, err
	}
	// Nothing can be made in a namespace that is being deleted.
	if change.Type == changes.Deleted || it.Metadata.DeletionTimestamp != "" || slices.Contains(exempt, key.Name) {
		return nil, nil
	}
	was, err := before(change)
	if err != nil {
		return nil, err
	}
	is := it.is()
	// Namespaces change for many reasons. Where it is not known what was, as after a restart, what must be is said again.
	if was == is && !change.Replayed {
		return nil, nil
	}
	name := changes.Key{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Namespace: key.Name, Name: "same-namespace"}
	if is == opened {
		return []changes.Action{changes.Delete(name)}, nil
	}
	return []changes.Action{changes.Apply(object{
		"apiVersion": name.APIVersion,
		"kind":       name.Kind,
		"metadata":   object{"namespace": name.Namespace, "name": name.Name},
		"spec": object{
			"podSelector": object{},
			"policyTypes": []string{"Ingress"},
			"ingress":     []object{{"from": []object{{"podSelector": object{}}}}},
		},
	})}, nil
}

// state of a namespace, as far as it is known.
type state int

const (
	unknown state = iota
	closed
	opened
)

func before(change *changes.Change) (state, error) {
	if change.OldObject == nil {
		return unknown, nil
	}
	var old namespace
	if err := change.DecodeOldObject(&old); err != nil {
		return unknown, err
	}
	return old.is(), nil
}

func (n *namespace) is() state {
	if n.Metadata.Labels[label] == open {
		return opened
	}
	return closed
}
