package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"verdict.dev/policy"
	"verdict.dev/policy/mutating"
	"verdict.dev/policy/policytest"
)

const example = `{"labels": {"team": "unknown"}}`

// change asks the policy, and gives the object as it will be.
func change(t *testing.T, request *policy.AdmissionRequest) (object policy.JSON, changed bool) {
	t.Helper()
	answer, err := mutating.Ask(request)
	if err != nil {
		t.Fatal(err)
	}
	object, err = answer.Change.Apply(request.Object)
	if err != nil {
		t.Fatal(err)
	}
	return object, !answer.Change.IsNone()
}

func TestTheSampleReviewsGiveTheVerdictThatTheyAreNamedAfter(t *testing.T) {
	policytest.Init(t, example)
	files, err := filepath.Glob("reviews/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no sample reviews", err)
	}
	for _, file := range files {
		request := policytest.Request(t, file)
		object, changed := change(t, request)
		if changed != strings.HasPrefix(filepath.Base(file), "changed-") {
			t.Errorf("%s: %s", file, object)
		}
		// The server may ask again about what it was given: then there is nothing left to do.
		request.Object = object
		if object, changed := change(t, request); changed {
			t.Errorf("%s is changed a second time: %s", file, object)
		}
	}
}

func TestAMissingLabelIsAddedAndOthersStay(t *testing.T) {
	policytest.Init(t, example)
	text, _ := change(t, &policy.AdmissionRequest{Object: policy.JSON(`{"metadata": {"labels": {"app": "shop"}}}`)})
	var object object
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	if found := object.Metadata.Labels; found["team"] != "unknown" || found["app"] != "shop" {
		t.Error(found)
	}
}

func TestBadSettingsAreRefusedWhereTheyAre(t *testing.T) {
	for settings, path := range map[string]string{
		`{}`:                      "/labels: ",
		`{"labels": {}}`:          "/labels: ",
		`{"labels": {"team": 1}}`: "/labels/team: ",
	} {
		if err := policytest.InitErrors(settings); err == nil || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
