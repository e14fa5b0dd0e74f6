// Turns events of deployments into notifications.
package main

import (
	"errors"
	"fmt"

	"verdict.dev/policy"
	"verdict.dev/policy/provider"
)

type settings struct {
	// Nil where the operator says nothing.
	Minimum *float64 `json:"minimum"`
}

type event struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Replicas  *int   `json:"replicas"`
	Ready     *int   `json:"ready"`
}

type notification struct {
	Severity string `json:"severity"`
	Text     string `json:"text"`
}

// minimum is the share of replicas that must be ready.
var minimum float64

func init() {
	policy.Init(take)
	provider.Export(notify)
}

func main() {}

// take runs once, before any event.
func take(s settings) error {
	minimum = 1
	if s.Minimum != nil {
		minimum = *s.Minimum
	}
	if minimum < 0 || minimum > 1 {
		return policy.SettingErrorf("/minimum", "expected a share from 0 to 1, got %v", minimum)
	}
	return nil
}

func notify(event event) (notification, error) {
	if event.Namespace == "" || event.Name == "" || event.Replicas == nil || event.Ready == nil {
		return notification{}, errors.New("expected namespace, name, replicas and ready")
	}
	replicas, ready := *event.Replicas, *event.Ready
	severity := "ok"
	if replicas != 0 && float64(ready)/float64(replicas) < minimum {
		severity = "warning"
	}
	policy.Audit("severity", severity)
	text := fmt.Sprintf("%s/%s: %d of %d replicas are ready", event.Namespace, event.Name, ready, replicas)
	return notification{severity, text}, nil
}
