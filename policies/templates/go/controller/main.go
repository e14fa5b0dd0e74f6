// Deployments of several replicas have a PodDisruptionBudget.
package main

import (
	"encoding/json"

	"verdict.dev/policy"
	"verdict.dev/policy/changes"
)

type settings struct {
	// Nil where the operator says nothing.
	MaxUnavailable *int `json:"maxUnavailable"`
}

// deployment has only the fields that matter: reading the rest would cost time.
type deployment struct {
	Metadata struct {
		UID               string `json:"uid"`
		DeletionTimestamp string `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		Replicas int             `json:"replicas"`
		Selector json.RawMessage `json:"selector"`
	} `json:"spec"`
}

type object map[string]any

// maxUnavailable is how many Pods of a Deployment may be missing at once.
var maxUnavailable int

func init() {
	policy.Init(take)
	changes.Export(handle)
}

func main() {}

// take runs once, before any change.
func take(s settings) error {
	maxUnavailable = 1
	if s.MaxUnavailable != nil {
		maxUnavailable = *s.MaxUnavailable
	}
	if maxUnavailable < 1 {
		return policy.SettingErrorf("/maxUnavailable", "expected a whole number from 1, got %d", maxUnavailable)
	}
	return nil
}

// handle may be told of the same change twice, and objects that are there already come when the policy is loaded: so it
// says what must be, whatever was before.
func handle(change *changes.Change) ([]changes.Action, error) {
	key, err := change.Key()
	if err != nil {
		return nil, err
	}
	var it deployment
	if err := change.DecodeObject(&it); err != nil {
		return nil, err
	}
	// Its budget goes with it, since it is its owner.
	if change.Type == changes.Deleted || it.Metadata.DeletionTimestamp != "" {
		return nil, nil
	}
	budget := changes.Key{
		APIVersion: "policy/v1", Kind: "PodDisruptionBudget", Namespace: key.Namespace, Name: key.Name + "-my-policy",
	}
	if it.Spec.Replicas < 2 {
		return []changes.Action{changes.Delete(budget)}, nil
	}
	owner := object{"apiVersion": "apps/v1", "kind": "Deployment", "name": key.Name, "uid": it.Metadata.UID}
	return []changes.Action{changes.Apply(object{
		"apiVersion": budget.APIVersion,
		"kind":       budget.Kind,
		"metadata": object{
			"namespace": budget.Namespace, "name": budget.Name, "ownerReferences": []object{owner},
		},
		"spec": object{"maxUnavailable": maxUnavailable, "selector": it.Spec.Selector},
	})}, nil
}
