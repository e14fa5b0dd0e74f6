package policy

import (
	"encoding/json"
	"fmt"
)

// Operation is what is being done to the object.
type Operation string

// The operations, as Kubernetes spells them.
const (
	Create  Operation = "CREATE"
	Update  Operation = "UPDATE"
	Delete  Operation = "DELETE"
	Connect Operation = "CONNECT"
)

// GroupVersionKind is for example apps, v1, Deployment.
type GroupVersionKind struct{ Group, Version, Kind string }

// GroupVersionResource is for example apps, v1, deployments.
type GroupVersionResource struct{ Group, Version, Resource string }

// Requested is requestKind, requestResource and requestSubResource.
type Requested struct {
	Kind        GroupVersionKind
	Resource    GroupVersionResource
	SubResource string
}

// AdmissionRequest is admission.k8s.io/v1 AdmissionRequest.
type AdmissionRequest struct {
	// UID names this call, not the object.
	UID       string
	Operation Operation
	// Kind is that of Object as it is sent here, maybe converted to the version that was registered.
	Kind GroupVersionKind
	// Resource matched the registration.
	Resource GroupVersionResource
	// SubResource is for example scale; empty for the resource itself.
	SubResource string
	// Requested is what the user's request named. Nil where that is Kind, Resource and SubResource, as it is unless the
	// API server converted the request to what the webhook is registered for.
	Requested *Requested
	// Namespace is empty for cluster-scoped objects.
	Namespace string
	// Name is empty where none is known.
	Name string
	User UserInfo
	// Object is the new object as it came; nil for a delete. For connect the options.
	Object JSON
	// OldObject is the object as stored; nil unless for update and delete.
	OldObject JSON
	// Options are those of the operation; nil when there are none.
	Options JSON
	// DryRun: nothing will be stored. A policy decides all the same.
	DryRun bool
}

// DecodeObject decodes Object into a type with the fields that matter, or one of k8s.io/api. Without an object, as for a delete,
// it is an error.
func (r *AdmissionRequest) DecodeObject(into any) error { return r.decode("object", r.Object, into) }

// DecodeOldObject decodes OldObject; an error unless for update and delete.
func (r *AdmissionRequest) DecodeOldObject(into any) error {
	return r.decode("old object", r.OldObject, into)
}

// DecodeOptions decodes Options; an error where there are none.
func (r *AdmissionRequest) DecodeOptions(into any) error { return r.decode("options", r.Options, into) }

func (r *AdmissionRequest) decode(what string, text JSON, into any) error {
	if text == nil {
		return fmt.Errorf("a %s has no %s", r.Operation, what)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: does not decode: %w", what, err)
	}
	return nil
}

// IsKind tells whether the object is of this group and kind, in any version. The core group is empty.
func (r *AdmissionRequest) IsKind(group, kind string) bool {
	return r.Kind.Group == group && r.Kind.Kind == kind
}

// Cause is one thing that is wrong with the object (meta.k8s.io/v1 StatusCause).
type Cause struct {
	// Field is a path, for example spec.containers[0].image. [Path] writes them, and makes causes.
	Field string
	// Reason is for machines, for example FieldValueInvalid.
	Reason string
	// Message is for the user.
	Message string
}

// Denial is why an object may not enter. The user sees it.
type Denial struct {
	// Message says what is wrong and how to mend it.
	Message string
	// Code is an HTTP status code, 400 to 599; zero for 403, or for 429 with RetryAfter.
	Code uint16
	// Reason is a meta.k8s.io/v1 StatusReason; empty for Forbidden.
	Reason string
	// Causes are the violations, each on its own.
	Causes []Cause
	// RetryAfter says that the request may succeed after this many seconds, 1 to 60: clients such as kubectl then try again by
	// themselves. Zero says nothing.
	RetryAfter uint32
}

// Deny is a denial with these words.
func Deny(format string, args ...any) *Denial {
	return &Denial{Message: fmt.Sprintf(format, args...)}
}

// Because adds causes: Deny("…").Because(Path("spec", "replicas").Invalid("…")).
func (d *Denial) Because(causes ...Cause) *Denial {
	d.Causes = append(d.Causes, causes...)
	return d
}

// Annotation is one entry of the audit log for this request. The key is prefixed with the policy's name.
type Annotation struct{ Key, Value string }
