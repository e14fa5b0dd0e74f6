package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"verdict.dev/policy/policytest"
	"verdict.dev/policy/validating"
)

const example = `{"labels": ["team", {"key": "example.org/cost-center", "pattern": "^[0-9]{4}$"}]}`

func TestTheSampleReviewsGiveTheVerdictThatTheyAreNamedAfter(t *testing.T) {
	policytest.Init(t, example)
	files, err := filepath.Glob("../required-labels/reviews/*.json")
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		answer, err := validating.Ask(policytest.Request(t, file))
		if err != nil {
			t.Fatal(err)
		}
		if denied := strings.HasPrefix(filepath.Base(file), "denied-"); denied != (answer.Denial() != nil) {
			t.Errorf("%s: %+v", file, answer.Denial())
		}
	}
}

func TestEachViolationNamesItsField(t *testing.T) {
	policytest.Init(t, example)
	answer, err := validating.Ask(policytest.Request(t, "../required-labels/reviews/denied-no-labels.json"))
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for _, cause := range answer.Denial().Causes {
		fields = append(fields, cause.Field)
	}
	if !slices.Equal(fields, []string{"metadata.labels.team", "metadata.labels[example.org/cost-center]"}) {
		t.Error(fields)
	}
}

func TestBadSettingsAreRefusedWhereTheyAre(t *testing.T) {
	for settings, path := range map[string]string{
		`{}`: "",
		`{"labels": ["a", {"key": "b", "pattern": "("}]}`: "/labels/1/pattern",
		`{"label": ["a"]}`:                                "/label",
		`{"annotations": [""]}`:                           "/annotations/0",
		`{"labels": [1]}`:                                 "/labels/0",
		`{"labels": [{"key": 1}]}`:                        "/labels/0/key",
		`{"labels": [{"key": "a", "regex": "x"}]}`:        "/labels/0/regex",
		`{"labels": ["a", {"key": "a", "pattern": "x"}]}`: "/labels/1",
	} {
		err := policytest.InitErrors(settings)
		if err == nil || path != "" && !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
