package main

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"verdict.dev/policy/authentication"
	"verdict.dev/policy/policytest"
)

// The key of policy.yaml.
const secret = "c2FtcGxlIGtleSBmb3IgdGVzdHMgb25seSwgMzIgYnl0ZXMh"

var key, _ = base64.StdEncoding.DecodeString(secret)

func start(t *testing.T, settings string) {
	t.Helper()
	t.Setenv(variable, "sample="+secret+", next=bmV4dCBrZXkgZm9yIHRlc3RzIG9ubHksIDMyIGJ5dGVzISE=")
	policytest.Init(t, settings)
}

func ask(t *testing.T, token string, audiences ...string) authentication.Outcome {
	t.Helper()
	outcome, err := authentication.Ask(&authentication.Review{Token: authentication.NewToken(token), Audiences: audiences})
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// verdict is the word with which the names of samples begin.
func verdict(outcome authentication.Outcome) string {
	if _, ok := outcome.User(); ok {
		return "authenticated"
	}
	if _, ok := outcome.Rejection(); ok {
		return "rejected"
	}
	return "unknown"
}

func TestTheSampleReviewsGiveTheVerdictThatTheyAreNamedAfter(t *testing.T) {
	start(t, `{}`)
	files, err := filepath.Glob("reviews/*.json")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		outcome, err := authentication.Ask(policytest.TokenReview(t, file))
		if err != nil {
			t.Fatal(err)
		}
		if got := verdict(outcome); !strings.HasPrefix(filepath.Base(file), got+"-") {
			t.Errorf("%s: %s: %+v", file, got, outcome)
		}
	}
}

func TestATokenIsGoodUntilItExpires(t *testing.T) {
	start(t, `{}`)
	for after, want := range map[time.Duration]string{time.Minute: "authenticated", -time.Minute: "rejected", 0: "rejected"} {
		token := sign([]byte(fmt.Sprintf(`{"key": "sample", "user": "jane", "exp": %d}`, time.Now().Add(after).Unix())), key)
		if got := verdict(ask(t, token)); got != want {
			t.Errorf("%v: %s", after, got)
		}
	}
}

func TestAnAudienceThatIsNotAskedForIsNotGranted(t *testing.T) {
	start(t, `{}`)
	token := sign([]byte(`{"key": "sample", "user": "jane", "audiences": ["a", "b"], "exp": 99999999999}`), key)
	if got := ask(t, token, "b", "c").Audiences(); !slices.Equal(got, []string{"b"}) {
		t.Error(got)
	}
	if got := verdict(ask(t, token)); got != "unknown" {
		t.Error(got)
	}
}

func TestEveryByteOfATokenCounts(t *testing.T) {
	start(t, `{}`)
	token := sign([]byte(`{"key": "sample", "user": "jane", "exp": 99999999999}`), key)
	if got := verdict(ask(t, token)); got != "authenticated" {
		t.Fatal(got)
	}
	for i := range token {
		for _, other := range []byte{'A', 'B', '.', '=', ' '} {
			if token[i] == other {
				continue
			}
			changed := token[:i] + string(other) + token[i+1:]
			if got := verdict(ask(t, changed)); got == "authenticated" {
				t.Errorf("%s is taken", changed)
			}
		}
	}
}

func TestGroupsCanBeLimited(t *testing.T) {
	token := sign([]byte(`{"key": "sample", "user": "jane", "groups": ["developers"], "exp": 99999999999}`), key)
	for settings, want := range map[string]string{
		`{}`: "authenticated", `{"groups": ["developers"]}`: "authenticated", `{"groups": []}`: "rejected",
	} {
		start(t, settings)
		if got := verdict(ask(t, token)); got != want {
			t.Errorf("%s: %s", settings, got)
		}
	}
}

func TestBadKeysAreRefusedWithoutShowingThem(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "grant it",
		"hunter2=":                     "key 1 has 0 bytes",
		"hunter2":                      "expected ID=SECRET with the secret in base64 as key 1",
		"a=" + secret + ",b=hunter2!":  "expected ID=SECRET with the secret in base64 as key 2",
		"a=aHVudGVyMg==":               "key 1 has 7 bytes, expected at least 32",
		"a=" + secret + ",a=" + secret: "key 2 has the ID of another one",
	} {
		t.Setenv(variable, text)
		err := policytest.InitErrors(`{}`)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
