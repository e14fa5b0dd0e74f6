package main

import (
	"path/filepath"
	"strings"
	"testing"

	"verdict.dev/policy"
	"verdict.dev/policy/authorization"
	"verdict.dev/policy/policytest"
)

const example = `{"extra": "example.org/tickets", "levels": {
	"read": {"verbs": ["get", "list", "watch"], "resources": ["pods", "pods/log", "deployments.apps"]},
	"all": {"verbs": ["*"], "resources": ["*"]}}}`

func TestTheSampleReviewsGiveTheVerdictThatTheyAreNamedAfter(t *testing.T) {
	policytest.Init(t, example)
	policytest.Record(t)
	files, err := filepath.Glob("reviews/*.json")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		ruling, err := authorization.Ask(policytest.SubjectAccessReview(t, file))
		if err != nil {
			t.Fatal(err)
		}
		if ruling.Allowed() != strings.HasPrefix(filepath.Base(file), "allow-") || ruling.Denied() {
			t.Errorf("%s: %+v", file, ruling)
		}
	}
}

func TestATicketAllowsWhatItSaysAndNoMore(t *testing.T) {
	policytest.Init(t, example)
	recorded := policytest.Record(t)
	for _, test := range []struct {
		ticket, verb, group, resource, subresource, namespace string
		allowed                                               bool
	}{
		{"shop:read", "get", "", "pods", "", "shop", true},
		{"shop:read", "get", "", "pods", "log", "shop", true},
		{"shop:read", "get", "", "pods", "exec", "shop", false},
		{"shop:read", "get", "apps", "deployments", "", "shop", true},
		{"shop:read", "get", "", "deployments", "", "shop", false},
		{"shop:read", "get", "", "secrets", "", "shop", false},
		{"shop:read", "*", "", "pods", "", "shop", false},
		{"shop:read", "get", "", "*", "", "shop", false},
		{"shop:read", "get", "", "pods", "", "shopping", false},
		{"shop*:read", "get", "", "pods", "", "shopping", true},
		{"*:all", "delete", "", "secrets", "", "shop", true},
		{"*:all", "create", "", "pods", "exec", "shop", false},
		{"*:all", "delete", "", "nodes", "", "", false},
		{"shop:read@2999-01-01T00:00:00Z", "get", "", "pods", "", "shop", true},
		{"shop:read@2020-01-01T00:00:00Z", "get", "", "pods", "", "shop", false},
		{"shop:read@tomorrow", "get", "", "pods", "", "shop", false},
		{"shop:write", "get", "", "pods", "", "shop", false},
		{":read", "get", "", "pods", "", "shop", false},
		{"[:read", "get", "", "pods", "", "shop", false},
	} {
		ruling, err := authorization.Ask(&authorization.Review{
			User: policy.UserInfo{Extra: map[string][]string{"example.org/tickets": {"broken", test.ticket}}},
			Resource: &authorization.ResourceAttributes{
				Verb: test.verb, Group: test.group, Resource: test.resource, Subresource: test.subresource,
				Namespace: test.namespace,
			},
		})
		if err != nil || ruling.Allowed() != test.allowed {
			t.Errorf("%+v: %+v %v", test, ruling, err)
		}
	}
	if lines := recorded.Logged(policy.Warn); len(lines) == 0 || !strings.HasSuffix(lines[0], `expected NAMESPACE:LEVEL, got "broken"`) {
		t.Error(lines)
	}
}

func TestBadSettingsAreRefusedWhereTheyAre(t *testing.T) {
	for settings, path := range map[string]string{
		`{"levels": {"read": {"verbs": ["get"], "resources": ["pods"]}}}`:                     "/extra: ",
		`{"extra": "Tickets", "levels": {"read": {"verbs": ["get"], "resources": ["pods"]}}}`: "/extra: ",
		`{"extra": "tickets"}`: "/levels: ",
		`{"extra": "t", "levels": {"a:b": {"verbs": ["get"], "resources": ["pods"]}}}`: "/levels/a:b: ",
		`{"extra": "t", "levels": {"read": {"resources": ["pods"]}}}`:                  "/levels/read/verbs: ",
		`{"extra": "t", "levels": {"read": {"verbs": ["get"]}}}`:                       "/levels/read/resources: ",
	} {
		if err := policytest.InitErrors(settings); err == nil || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
