// Adds labels that are missing.
package main

import (
	"verdict.dev/policy"
	"verdict.dev/policy/mutating"
)

type settings struct {
	Labels map[string]string `json:"labels"`
}

// object has the fields that matter here: what is not in it stays as it is. For all of them: corev1.Pod of k8s.io/api.
type object struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
}

var labels map[string]string

func init() {
	policy.Init(take)
	mutating.Export(mutate)
}

func main() {}

// take runs once, before any review.
func take(s settings) error {
	if len(s.Labels) == 0 {
		return policy.SettingErrorf("/labels", "expected at least one label")
	}
	labels = s.Labels
	return nil
}

func mutate(request *policy.AdmissionRequest) (mutating.Mutation, error) {
	// A delete has no object: then nothing is edited.
	change, err := mutating.Edit(request, func(object *object) error {
		if object.Metadata.Labels == nil {
			object.Metadata.Labels = map[string]string{}
		}
		for name, value := range labels {
			if _, found := object.Metadata.Labels[name]; !found {
				object.Metadata.Labels[name] = value
			}
		}
		return nil
	})
	return mutating.Allow(change), err
}
