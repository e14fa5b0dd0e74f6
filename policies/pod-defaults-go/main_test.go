package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"verdict.dev/policy"
	"verdict.dev/policy/mutating"
	"verdict.dev/policy/policytest"
)

const example = `{"exemptNamespaces": ["kube-system"]}`

// change asks the policy, and gives the object as it will be.
func change(t *testing.T, request *policy.AdmissionRequest) (object policy.JSON, changed bool) {
	t.Helper()
	answer, err := mutating.Ask(request)
	if err != nil {
		t.Fatal(err)
	}
	if object, err = answer.Change.Apply(request.Object); err != nil {
		t.Fatal(err)
	}
	return object, !answer.Change.IsNone()
}

func TestTheSampleReviewsGiveTheVerdictThatTheyAreNamedAfter(t *testing.T) {
	policytest.Init(t, example)
	files, err := filepath.Glob("reviews/*.json")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		request := policytest.Request(t, file)
		object, changed := change(t, request)
		if changed != strings.HasPrefix(filepath.Base(file), "changed-") {
			t.Errorf("%s: %s", file, object)
		}
		request.Object = object
		if object, changed := change(t, request); changed {
			t.Errorf("%s is changed a second time: %s", file, object)
		}
	}
}

func TestTheTokenThatWasMountedIsTakenOut(t *testing.T) {
	policytest.Init(t, example)
	text, _ := change(t, policytest.Request(t, "reviews/changed-pod.json"))
	var pod corev1.Pod
	if err := json.Unmarshal(text, &pod); err != nil {
		t.Fatal(err)
	}
	if spec := pod.Spec; *spec.AutomountServiceAccountToken || len(spec.Volumes) != 1 || spec.Volumes[0].Name != "cache" {
		t.Errorf("%+v", pod.Spec.Volumes)
	}
	for _, container := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		for _, mount := range container.VolumeMounts {
			if mount.Name != "cache" {
				t.Errorf("%s still mounts %s", container.Name, mount.Name)
			}
		}
	}
	if profile := pod.Spec.SecurityContext.SeccompProfile; profile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Error(profile)
	}
	// What the types of this version of Kubernetes do not have, and numbers that they would round.
	for _, untouched := range []string{`"fieldOfTomorrow":9007199254740993`, `"tomorrow":[1.0,1e2]`} {
		if !strings.Contains(string(text), untouched) {
			t.Errorf("no %s in %s", untouched, text)
		}
	}
	for _, added := range []string{`"status":{}`, `"creationTimestamp":null`, `"resources":{}`} {
		if strings.Contains(string(text), added) {
			t.Errorf("%s was added", added)
		}
	}
}
