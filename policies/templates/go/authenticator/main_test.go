package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"verdict.dev/policy/authentication"
	"verdict.dev/policy/policytest"
)

// The digest of `correct-horse`: printf %s correct-horse | sha256sum
const example = `{"users": [{"sha256": "9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163",
	"username": "jane", "groups": ["developers"]}]}`

func TestTheSampleReviewsGiveTheVerdictThatTheyAreNamedAfter(t *testing.T) {
	policytest.Init(t, example)
	files, err := filepath.Glob("reviews/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no sample reviews", err)
	}
	for _, file := range files {
		outcome, err := authentication.Ask(policytest.TokenReview(t, file))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if _, known := outcome.User(); known != strings.HasPrefix(filepath.Base(file), "authenticated-") {
			t.Errorf("%s: %+v", file, outcome)
		}
	}
}

func TestTheBearerHasANameAndGroups(t *testing.T) {
	policytest.Init(t, example)
	outcome, err := authentication.Ask(&authentication.Review{Token: authentication.NewToken("correct-horse")})
	if err != nil {
		t.Fatal(err)
	}
	if user, _ := outcome.User(); user.Username != "jane" || !slices.Equal(user.Groups, []string{"developers"}) {
		t.Errorf("%+v", user)
	}
}

func TestBadSettingsAreRefusedWhereTheyAre(t *testing.T) {
	digest := strings.Repeat("0a", 32)
	for settings, path := range map[string]string{
		`{"users": [{"sha256": "abc", "username": "jane"}]}`:                                "/users/0/sha256: ",
		`{"users": [{"sha256": "` + strings.ToUpper(digest) + `", "username": "jane"}]}`:    "/users/0/sha256: ",
		`{"users": [{"sha256": "` + digest + `", "username": ""}]}`:                         "/users/0/username: ",
		`{"users": [{"sha256": "` + digest + `", "username": "jane", "groups": "admins"}]}`: "/users/0/groups: ",
	} {
		if err := policytest.InitErrors(settings); err == nil || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
