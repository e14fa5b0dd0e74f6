// Package changes answers changes of objects of a cluster with what is to be done.
package changes

import (
	"encoding/json"
	"errors"
	"fmt"

	"verdict.dev/policy"
)

// Type is what happened to an object.
type Type string

const (
	// Added is there, and was not seen before.
	Added Type = "ADDED"
	// Modified is another one than before.
	Modified Type = "MODIFIED"
	// Deleted is gone, or is none of those any more that were asked for.
	Deleted Type = "DELETED"
)

// Change is one change of one object. Of each object every change comes, in order and at least once: a change may come again, so
// that whatever is done must be right when it is done twice.
type Change struct {
	Type Type `json:"type"`
	// Object is as it is since the change; of a deleted one, as it was last. Without metadata.managedFields.
	Object policy.JSON `json:"object"`
	// OldObject is as it was before. Nil where that is not known, and for one that is added.
	OldObject policy.JSON `json:"oldObject"`
	// Replayed tells that it may not have changed just now: it was there when the server began to look, or what happened
	// meanwhile was lost, or the time of [AgainAfter] is over.
	Replayed bool `json:"replayed"`
}

// DecodeObject decodes Object, into a type of your own with only the fields that matter or into one of k8s.io/api.
func (c *Change) DecodeObject(into any) error { return decode("object", c.Object, into) }

// DecodeOldObject decodes OldObject; an error where there is none.
func (c *Change) DecodeOldObject(into any) error { return decode("old object", c.OldObject, into) }

// Key is the name of the object that changed.
func (c *Change) Key() (Key, error) {
	var head struct {
		Key
		Metadata struct{ Namespace, Name string }
	}
	if err := c.DecodeObject(&head); err != nil {
		return Key{}, err
	}
	key := Key{head.APIVersion, head.Kind, head.Metadata.Namespace, head.Metadata.Name}
	if err := key.check(); err != nil {
		return Key{}, fmt.Errorf("object: %w", err)
	}
	return key, nil
}

// Key names an object.
type Key struct {
	// APIVersion is for example apps/v1; of the core group v1.
	APIVersion string `json:"apiVersion"`
	// Kind is for example Deployment.
	Kind string `json:"kind"`
	// Namespace is empty for cluster-scoped objects.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

func (k Key) check() error {
	for _, field := range []struct{ name, value string }{
		{"apiVersion", k.APIVersion}, {"kind", k.Kind}, {"name", k.Name},
	} {
		if field.value == "" {
			return fmt.Errorf("its %s is missing", field.name)
		}
	}
	return nil
}

// Func says what is to be done about a change, in this order: nothing, where the list is empty or nil. Where one action fails, those
// after it are not done, and the change comes again later; so it does after an error.
type Func func(change *Change) ([]Action, error)

var handle Func

// Export makes f what the component exports. Call it once, from func init of package main.
func Export(f Func) { handle = f }

// Ask calls what was exported, as the server does. For unit tests.
func Ask(change *Change) ([]Action, error) {
	actions, err := handle(change)
	if err != nil {
		return nil, err
	}
	if len(actions) > most {
		return nil, fmt.Errorf("%d actions are more than the %d that a change may have", len(actions), most)
	}
	for at, action := range actions {
		if err := action.check(); err != nil {
			return nil, fmt.Errorf("action %d: %w", at, err)
		}
	}
	return actions, nil
}

func decode(what string, text policy.JSON, into any) error {
	if text == nil {
		return errors.New("the change has no " + what)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: does not decode: %w", what, err)
	}
	return nil
}

// most is how many actions a change may have.
const most = 64
