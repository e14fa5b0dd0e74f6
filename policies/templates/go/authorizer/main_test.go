package main

import (
	"path/filepath"
	"strings"
	"testing"

	"verdict.dev/policy/authorization"
	"verdict.dev/policy/policytest"
)

const example = `{"group": "developers", "namespacePrefix": "dev-"}`

func TestTheSampleReviewsGiveTheVerdictThatTheyAreNamedAfter(t *testing.T) {
	policytest.Init(t, example)
	files, err := filepath.Glob("reviews/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no sample reviews", err)
	}
	for _, file := range files {
		ruling, err := authorization.Ask(policytest.SubjectAccessReview(t, file))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if ruling.Allowed() != strings.HasPrefix(filepath.Base(file), "allow-") || ruling.Denied() {
			t.Errorf("%s: %+v", file, ruling)
		}
	}
}

func TestTheReasonNamesGroupAndNamespaces(t *testing.T) {
	policytest.Init(t, example)
	ruling, err := authorization.Ask(policytest.SubjectAccessReview(t, "reviews/allow-list-pods.json"))
	if err != nil || ruling.Reason() != "developers may read in dev-*" {
		t.Error(ruling, err)
	}
}

func TestBadSettingsAreRefusedWhereTheyAre(t *testing.T) {
	for settings, path := range map[string]string{
		`{"namespacePrefix": "dev-"}`:                 "/group: ",
		`{"group": "g", "namespacePrefix": ""}`:       "/namespacePrefix: ",
		`{"group": ["g"], "namespacePrefix": "dev-"}`: "/group: ",
	} {
		if err := policytest.InitErrors(settings); err == nil || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
