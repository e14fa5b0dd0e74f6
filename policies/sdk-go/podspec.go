package policy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// PodSpecFields is where the object has its PodSpec: the names of the fields from the object down, for Pods and for every
// built-in kind that has a pod template. Nil for other kinds, and for subresources except ephemeralcontainers and resize of Pods,
// which are sent with the whole Pod.
func (r *AdmissionRequest) PodSpecFields() []string {
	kind := r.Kind.Group + "/" + r.Kind.Kind
	whole := r.SubResource == "" || kind == "/Pod" && (r.SubResource == "ephemeralcontainers" || r.SubResource == "resize")
	if !whole {
		return nil
	}
	switch kind {
	case "/Pod":
		return []string{"spec"}
	case "/PodTemplate":
		return []string{"template", "spec"}
	case "/ReplicationController", "apps/Deployment", "apps/ReplicaSet", "apps/StatefulSet", "apps/DaemonSet", "batch/Job":
		return []string{"spec", "template", "spec"}
	case "batch/CronJob":
		return []string{"spec", "jobTemplate", "spec", "template", "spec"}
	}
	return nil
}

// PodSpec decodes the PodSpec of the request's object, whatever workload that is, into a type with the fields that matter or
// corev1.PodSpec; path is where it lies. Nil where there is none: another kind, a delete, a subresource.
func PodSpec[T any](request *AdmissionRequest) (spec *T, path FieldPath, err error) {
	return podSpec[T](request, request.Object)
}

// OldPodSpec is [PodSpec] of the object as stored.
func OldPodSpec[T any](request *AdmissionRequest) (spec *T, path FieldPath, err error) {
	return podSpec[T](request, request.OldObject)
}

func podSpec[T any](request *AdmissionRequest, object JSON) (*T, FieldPath, error) {
	fields := request.PodSpecFields()
	path := FieldPath(strings.Join(fields, "."))
	text, err := At(object, fields)
	if err != nil || text == nil {
		return nil, path, err
	}
	spec := new(T)
	if err := json.Unmarshal(text, spec); err != nil {
		return nil, path, fmt.Errorf("%s: does not decode: %w", path, err)
	}
	return spec, path, nil
}

// At is the text of what lies at these fields of an object; nil where there is nothing, or no field is named.
func At(object JSON, fields []string) (JSON, error) {
	if len(fields) == 0 || object == nil {
		return nil, nil
	}
	for _, field := range fields {
		var members map[string]JSON
		if err := json.Unmarshal(object, &members); err != nil {
			return nil, fmt.Errorf("%s: does not decode: %w", strings.Join(fields, "."), err)
		}
		if object = members[field]; object == nil || string(object) == "null" {
			return nil, nil
		}
	}
	return object, nil
}
