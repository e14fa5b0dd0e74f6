package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"verdict.dev/policy/changes"
	"verdict.dev/policy/policytest"
)

func TestTheSampleChangesGiveTheVerdictThatTheyAreNamedAfter(t *testing.T) {
	policytest.Init(t, `{}`)
	files, err := filepath.Glob("reviews/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no sample changes", err)
	}
	for _, file := range files {
		actions, err := changes.Ask(policytest.Change(t, file))
		if answered := strings.HasPrefix(filepath.Base(file), "answered-"); answered != (err == nil) {
			t.Errorf("%s: %v %v", file, actions, err)
		}
	}
}

// ask gives the actions as JSON.
func ask(t *testing.T, file string) string {
	t.Helper()
	actions, err := changes.Ask(policytest.Change(t, file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(actions)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSeveralReplicasHaveABudget(t *testing.T) {
	policytest.Init(t, `{"maxUnavailable": 2}`)
	answer := ask(t, "reviews/answered-several-replicas.json")
	for _, part := range []string{`[{"apply":`, `"name":"web-my-policy"`, `"maxUnavailable":2`, `"matchLabels":{"app":"web"}`} {
		if !strings.Contains(answer, part) {
			t.Errorf("no %s in %s", part, answer)
		}
	}
}

func TestOneReplicaHasNone(t *testing.T) {
	policytest.Init(t, `{}`)
	answer := ask(t, "reviews/answered-one-replica.json")
	want := `[{"delete":{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","namespace":"shop","name":"web-my-policy"}}]`
	if answer != want {
		t.Error(answer)
	}
}

func TestBadSettingsAreRefusedWhereTheyAre(t *testing.T) {
	for _, settings := range []string{`{"maxUnavailable": 0}`, `{"maxUnavailable": "1"}`} {
		if err := policytest.InitErrors(settings); err == nil || !strings.HasPrefix(err.Error(), "/maxUnavailable: ") {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
