package policy

import "testing"

type podSpecOfTest struct{ NodeName string }

func TestThePodSpecOfEveryWorkloadIsFound(t *testing.T) {
	request := func(group, kind, object string) *AdmissionRequest {
		return &AdmissionRequest{Kind: GroupVersionKind{Group: group, Version: "v1", Kind: kind}, Object: JSON(object)}
	}
	template := `{"spec": {"template": {"spec": {"nodeName": "n"}}}}`
	for _, one := range []struct{ group, kind, object, path string }{
		{"", "Pod", `{"spec": {"nodeName": "n"}}`, "spec"},
		{"", "PodTemplate", `{"template": {"spec": {"nodeName": "n"}}}`, "template.spec"},
		{"", "ReplicationController", template, "spec.template.spec"},
		{"apps", "Deployment", template, "spec.template.spec"},
		{"apps", "ReplicaSet", template, "spec.template.spec"},
		{"apps", "StatefulSet", template, "spec.template.spec"},
		{"apps", "DaemonSet", template, "spec.template.spec"},
		{"batch", "Job", template, "spec.template.spec"},
		{"batch", "CronJob", `{"spec": {"jobTemplate": ` + template + `}}`, "spec.jobTemplate.spec.template.spec"},
	} {
		spec, path, err := PodSpec[podSpecOfTest](request(one.group, one.kind, one.object))
		if err != nil || spec == nil || spec.NodeName != "n" || string(path) != one.path {
			t.Errorf("%s: %+v at %s: %v", one.kind, spec, path, err)
		}
	}
	scale := request("apps", "Deployment", template)
	scale.SubResource = "scale"
	for name, other := range map[string]*AdmissionRequest{
		"another kind": request("apps", "Pod", `{"spec": {}}`), "a subresource": scale, "no template": request("apps", "Deployment", `{"spec": null}`),
		"a delete": {Kind: GroupVersionKind{Kind: "Pod"}},
	} {
		if spec, _, err := PodSpec[podSpecOfTest](other); spec != nil || err != nil {
			t.Errorf("%s: %+v, %v", name, spec, err)
		}
	}
	if _, _, err := PodSpec[podSpecOfTest](request("", "Pod", `{"spec": {"nodeName": 1}}`)); err == nil {
		t.Error("a wrong type was taken")
	}
	old := &AdmissionRequest{Kind: GroupVersionKind{Kind: "Pod"}, OldObject: JSON(`{"spec": {"nodeName": "old"}}`)}
	if spec, _, err := OldPodSpec[podSpecOfTest](old); err != nil || spec.NodeName != "old" {
		t.Errorf("%+v, %v", spec, err)
	}
}
