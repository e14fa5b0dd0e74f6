package main

import (
	"path/filepath"
	"strings"
	"testing"

	"verdict.dev/policy/policytest"
	"verdict.dev/policy/validating"
)

const example = `{"registries": ["registry.example.org/"]}`

func TestTheSampleReviewsGiveTheVerdictThatTheyAreNamedAfter(t *testing.T) {
	policytest.Init(t, example)
	files, err := filepath.Glob("reviews/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no sample reviews", err)
	}
	for _, file := range files {
		answer, err := validating.Ask(policytest.Request(t, file))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if denied := strings.HasPrefix(filepath.Base(file), "denied-"); denied != (answer.Denial() != nil) {
			t.Errorf("%s: %+v", file, answer.Denial())
		}
	}
}

func TestEachViolationNamesItsField(t *testing.T) {
	policytest.Init(t, example)
	answer, err := validating.Ask(policytest.Request(t, "reviews/denied-init-container.json"))
	if err != nil {
		t.Fatal(err)
	}
	if field := answer.Denial().Causes[0].Field; field != "spec.initContainers[0].image" {
		t.Error(field)
	}
}

func TestBadSettingsAreRefusedWhereTheyAre(t *testing.T) {
	for settings, path := range map[string]string{
		`{}`:                                  "/registries: ",
		`{"registries": []}`:                  "/registries: ",
		`{"registries": ["a/", "b"]}`:         "/registries/1: ",
		`{"registries": ["a/"], "other": []}`: "/other: ",
	} {
		if err := policytest.InitErrors(settings); err == nil || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
