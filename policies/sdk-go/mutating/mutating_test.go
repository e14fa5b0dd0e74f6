package mutating

import (
	"errors"
	"strings"
	"testing"

	"verdict.dev/policy"
)

type pod struct {
	Metadata struct {
		Created *string           `json:"creationTimestamp"`
		Labels  map[string]string `json:"labels,omitempty"`
	} `json:"metadata"`
}

func label(object *pod) error {
	if object.Metadata.Labels == nil {
		object.Metadata.Labels = map[string]string{}
	}
	object.Metadata.Labels["team"] = "a"
	return nil
}

func TestAnEditKeepsWhatItDoesNotTouch(t *testing.T) {
	request := &policy.AdmissionRequest{Object: policy.JSON(`{"n": 12345678901234567890123, "f": 1.0, "metadata": {"x": 1e3}}`)}
	change, err := Edit(request, label)
	if err != nil || change.form != jsonPatch {
		t.Fatal(change, err)
	}
	if want := `[{"op":"add","path":"/metadata/labels","value":{"team":"a"}}]`; string(change.text) != want {
		t.Errorf("%s", change.text)
	}
	object, err := change.Apply(request.Object)
	if want := `{"f":1.0,"metadata":{"labels":{"team":"a"},"x":1e3},"n":12345678901234567890123}`; string(object) != want || err != nil {
		t.Errorf("%s %v", object, err)
	}
	again, err := Edit(&policy.AdmissionRequest{Object: object}, label)
	if err != nil || !again.IsNone() {
		t.Errorf("%s %v", again.text, err)
	}
}

func TestAnEditOfNothingChangesNothing(t *testing.T) {
	change, err := Edit(&policy.AdmissionRequest{Operation: policy.Delete}, label)
	if err != nil || !change.IsNone() {
		t.Error(change, err)
	}
}

func TestAnEditFailsWithItsError(t *testing.T) {
	refused := errors.New("no")
	request := &policy.AdmissionRequest{Object: policy.JSON(`{}`)}
	if _, err := Edit(request, func(*pod) error { return refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
	if _, err := Edit(&policy.AdmissionRequest{Object: policy.JSON(`[]`)}, label); err == nil {
		t.Error("a list is no pod")
	}
}

func TestEveryFormOfAChangeIsApplied(t *testing.T) {
	object := policy.JSON(`{"a":1}`)
	for want, change := range map[string]Change{
		`{"a":1}`:       {},
		`{"a":1,"b":2}`: MergePatch(policy.JSON(`{"b":2}`)),
		`{}`:            JSONPatch(policy.JSON(`[{"op":"remove","path":"/a"}]`)),
		`{"c":3}`:       Full(policy.JSON(`{"c":3}`)),
	} {
		if got, err := change.Apply(object); string(got) != want || err != nil {
			t.Errorf("got %s, want %s: %v", got, want, err)
		}
	}
}

func TestWordsAreCollected(t *testing.T) {
	var mutation Mutation
	mutation.Warn("%d lines", 2)
	mutation.Annotate("key", "value")
	if mutation.Warnings[0] != "2 lines" || mutation.AuditAnnotations[0] != (policy.Annotation{Key: "key", Value: "value"}) {
		t.Errorf("%+v", mutation)
	}
}

func TestThePodSpecOfAnyWorkloadIsEdited(t *testing.T) {
	request := &policy.AdmissionRequest{
		Kind:   policy.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
		Object: policy.JSON(`{"spec": {"replicas": 1.0, "template": {"spec": {"containers": [{"name": "a", "n": 1e400}]}}}}`),
	}
	type spec struct {
		HostNetwork bool `json:"hostNetwork,omitempty"`
		Containers  []struct {
			Name string `json:"name"`
			Tty  bool   `json:"tty,omitempty"`
		} `json:"containers"`
	}
	change, err := EditPodSpec(request, func(spec *spec) error {
		spec.HostNetwork = true
		spec.Containers[0].Tty = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	changed, err := change.Apply(request.Object)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"hostNetwork":true`, `"tty":true`, `1e400`, `1.0`} {
		if !strings.Contains(string(changed), part) {
			t.Errorf("no %s in %s", part, changed)
		}
	}
	request.SubResource = "scale"
	if change, err := EditPodSpec(request, func(*spec) error { t.Error("edited"); return nil }); err != nil || !change.IsNone() {
		t.Error(change, err)
	}
}
