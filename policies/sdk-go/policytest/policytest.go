// Package policytest calls a policy from its unit tests as the server would.
package policytest

import (
	"encoding/json"
	"os"
	"testing"

	"verdict.dev/policy"
)

// Init gives the policy its settings, a JSON object, and fails the test when it refuses them.
func Init(t testing.TB, settings string) {
	t.Helper()
	if err := policy.Start([]byte(settings)); err != nil {
		t.Fatal(err)
	}
}

// InitErrors gives the policy settings, and returns what it finds wrong with them.
func InitErrors(settings string) error { return policy.Start([]byte(settings)) }

// Request reads an AdmissionReview from a file.
func Request(t testing.TB, file string) *policy.AdmissionRequest {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var review struct {
		Request struct {
			UID                string                       `json:"uid"`
			Operation          policy.Operation             `json:"operation"`
			Kind               policy.GroupVersionKind      `json:"kind"`
			Resource           policy.GroupVersionResource  `json:"resource"`
			SubResource        string                       `json:"subResource"`
			RequestKind        *policy.GroupVersionKind     `json:"requestKind"`
			RequestResource    *policy.GroupVersionResource `json:"requestResource"`
			RequestSubResource string                       `json:"requestSubResource"`
			Namespace          string                       `json:"namespace"`
			Name               string                       `json:"name"`
			UserInfo           policy.UserInfo              `json:"userInfo"`
			Object             policy.JSON                  `json:"object"`
			OldObject          policy.JSON                  `json:"oldObject"`
			Options            policy.JSON                  `json:"options"`
			DryRun             bool                         `json:"dryRun"`
		} `json:"request"`
	}
	if err := json.Unmarshal(text, &review); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	given := func(text policy.JSON) policy.JSON {
		if string(text) == "null" {
			return nil
		}
		return text
	}
	r := review.Request
	named := policy.Requested{Kind: r.Kind, Resource: r.Resource, SubResource: r.SubResource}
	requested := named
	if r.RequestKind != nil {
		requested.Kind = *r.RequestKind
	}
	if r.RequestResource != nil {
		// Who names it names its subresource too, by leaving it out if there is none.
		requested.Resource, requested.SubResource = *r.RequestResource, r.RequestSubResource
	}
	request := &policy.AdmissionRequest{
		UID: r.UID, Operation: r.Operation, Kind: r.Kind, Resource: r.Resource, SubResource: r.SubResource,
		Namespace: r.Namespace, Name: r.Name, User: r.UserInfo,
		Object: given(r.Object), OldObject: given(r.OldObject), Options: given(r.Options), DryRun: r.DryRun,
	}
	if requested != named {
		request.Requested = &requested
	}
	return request
}
