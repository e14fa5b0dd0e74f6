package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"verdict.dev/policy"
	"verdict.dev/policy/policytest"
	"verdict.dev/policy/provider"
)

func TestTheSampleEventsGiveTheVerdictThatTheyAreNamedAfter(t *testing.T) {
	policytest.Init(t, `{"minimum": 0.5}`)
	policytest.Record(t)
	files, err := filepath.Glob("reviews/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no sample events", err)
	}
	for _, file := range files {
		answer, err := provider.Ask(policytest.Event(t, file))
		if answered := strings.HasPrefix(filepath.Base(file), "answered-"); answered != (err == nil) {
			t.Errorf("%s: %s %v", file, answer, err)
		}
	}
}

func TestTooFewReplicasAreWarnedOfAndAudited(t *testing.T) {
	policytest.Init(t, `{}`)
	recorded := policytest.Record(t)
	answer, err := provider.Ask(policytest.Event(t, "reviews/answered-not-ready.json"))
	if want := `{"severity":"warning","text":"shop/web: 1 of 3 replicas are ready"}`; err != nil || string(answer) != want {
		t.Errorf("%s %v", answer, err)
	}
	if facts := recorded.Audited(); !slices.Equal(facts, []policy.Annotation{{Key: "severity", Value: "warning"}}) {
		t.Error(facts)
	}
}

func TestBadSettingsAreRefusedWhereTheyAre(t *testing.T) {
	for _, settings := range []string{`{"minimum": 1.5}`, `{"minimum": -1}`, `{"minimum": "all"}`} {
		if err := policytest.InitErrors(settings); err == nil || !strings.HasPrefix(err.Error(), "/minimum: ") {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
