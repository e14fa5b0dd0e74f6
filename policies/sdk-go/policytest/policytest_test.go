package policytest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"verdict.dev/policy"
	"verdict.dev/policy/authorization"
	"verdict.dev/policy/changes"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "review.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReviewsAreReadAsTheServerPassesThem(t *testing.T) {
	access := SubjectAccessReview(t, file(t, `{"kind": "SubjectAccessReview", "spec": {
		"user": "jane", "uid": "1", "groups": ["g"], "extra": {"example.org/k": ["v"]},
		"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "ns",
			"labelSelector": {"requirements": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}}}}`))
	if access.User.Extra["example.org/k"][0] != "v" || access.User.UID != "1" || access.NonResource != nil {
		t.Errorf("%+v", access)
	}
	if at := access.Resource; at.Verb != "list" || at.LabelSelector[0].Operator != authorization.NotIn {
		t.Errorf("%+v", access.Resource)
	}
	if raw := string(policy.RawReview()); !strings.Contains(raw, `"user": "jane"`) {
		t.Error(raw)
	}
	change := Change(t, file(t, `{"type": "DELETED", "object": {"n": 1.0}, "oldObject": null, "replayed": true}`))
	if change.Type != changes.Deleted || string(change.Object) != `{"n": 1.0}` || change.OldObject != nil || !change.Replayed {
		t.Errorf("%+v", change)
	}
	token := TokenReview(t, file(t, `{"kind": "TokenReview", "spec": {"token": "t", "audiences": ["a"]}}`))
	if token.Token.Expose() != "t" || !slices.Equal(token.Audiences, []string{"a"}) {
		t.Errorf("%+v", token)
	}
	if event := Event(t, file(t, `{"any": 1.0}`)); string(event) != `{"any": 1.0}` || string(policy.RawReview()) != string(event) {
		t.Error(string(event))
	}
}

func TestTheRawReviewIsForgottenAfterItsTest(t *testing.T) {
	t.Run("inner", func(t *testing.T) { RawReview(t, policy.JSON(`{}`)) })
	if raw := policy.RawReview(); raw != nil {
		t.Error(string(raw))
	}
}

func TestWhatIsLoggedAndAuditedIsKept(t *testing.T) {
	recorded := Record(t)
	policy.Log(policy.Warn, "low: %d", 1)
	policy.Log(policy.Info, "fine")
	policy.Audit("key", "value")
	if got := recorded.Logged(policy.Warn); !slices.Equal(got, []string{"low: 1"}) {
		t.Error(got)
	}
	if got := recorded.Audited(); !slices.Equal(got, []policy.Annotation{{Key: "key", Value: "value"}}) {
		t.Error(got)
	}
}
