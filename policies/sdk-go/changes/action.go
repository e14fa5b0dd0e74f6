package changes

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"verdict.dev/policy"
)

// Action is one thing to do: made by the functions below. The zero value is none, which is an error of the policy's.
//
// The server does it with the rights of the service account that the operator granted; what concerns RBAC, webhook
// configurations, API services, custom resource definitions or verdict.dev it refuses.
type Action struct {
	form form
	// Of what fits the form.
	seconds      uint32
	warning      bool
	reason, note string
	key          Key
	status       bool
	// JSON, or why there is none.
	text policy.JSON
	err  error
}

type form uint8

const (
	none form = iota
	againAfter
	event
	apply
	jsonPatch
	mergePatch
	deletion
)

// AgainAfter has the same object handled again after this time, unless it changes before: as Modified and replayed, as it is then. In
// whole seconds, rounded up, from one to a day: who waits longer is asked earlier, and asks for the rest.
func AgainAfter(wait time.Duration) Action {
	seconds := int64(wait / time.Second)
	if wait%time.Second > 0 {
		seconds++
	}
	return Action{form: againAfter, seconds: uint32(min(max(seconds, 1), longest))}
}

// Event is an Event about the object that changed. The reason is one word of letters and digits, for example ConfigMapWritten; the
// note is for people, at most 1024 bytes.
func Event(reason, format string, args ...any) Action {
	return Action{form: event, reason: reason, note: fmt.Sprintf(format, args...)}
}

// Warning is [Event] of type Warning: something is wrong.
func Warning(reason, format string, args ...any) Action {
	action := Event(reason, format, args...)
	action.warning = true
	return action
}

// Apply is server-side apply of an object, with apiVersion, kind and metadata.name: its fields become as they are here, those that
// were here before and are not any more are removed, and all others stay. The object is anything that is JSON.
func Apply(object any) Action { return written(apply, object) }

// MergePatch is a JSON Merge Patch (RFC 7386) of an object that is there: what is named is set, null removes.
func MergePatch(key Key, patch any) Action { return patched(mergePatch, key, patch, false) }

// MergePatchStatus is [MergePatch] of the subresource status: {"status": {...}}. Only where it differs: a policy that writes what it is
// told of is asked again.
func MergePatchStatus(key Key, patch any) Action { return patched(mergePatch, key, patch, true) }

// JSONPatch is a JSON Patch (RFC 6902) of an object that is there, a list of operations.
func JSONPatch(key Key, operations any) Action { return patched(jsonPatch, key, operations, false) }

// JSONPatchStatus is [JSONPatch] of the subresource status.
func JSONPatchStatus(key Key, operations any) Action {
	return patched(jsonPatch, key, operations, true)
}

// Delete deletes an object. One that is not there is no error.
func Delete(key Key) Action { return Action{form: deletion, key: key} }

func written(form form, value any) Action {
	text, err := json.Marshal(value)
	return Action{form: form, text: text, err: err}
}

func patched(form form, key Key, patch any, status bool) Action {
	action := written(form, patch)
	action.key, action.status = key, status
	return action
}

func (a Action) check() error {
	if a.err != nil {
		return a.err
	}
	switch a.form {
	case none:
		return errors.New("it is none: make it by changes.Apply, Delete, MergePatch, Event, AgainAfter and their like")
	case event:
		if !isWord(a.reason) {
			return fmt.Errorf("the reason of an event must be a word of at most 128 letters and digits, got %.100q", a.reason)
		}
	case jsonPatch:
		if len(a.text) == 0 || a.text[0] != '[' {
			return errors.New("a JSON patch must be a list of operations")
		}
	case mergePatch:
		if len(a.text) == 0 || a.text[0] != '{' {
			return errors.New("a merge patch must be an object")
		}
	}
	if a.form == jsonPatch || a.form == mergePatch || a.form == deletion {
		return a.key.check()
	}
	return nil
}

func isWord(text string) bool {
	for _, letter := range []byte(text) {
		if !('0' <= letter && letter <= '9' || 'A' <= letter && letter <= 'Z' || 'a' <= letter && letter <= 'z') {
			return false
		}
	}
	return text != "" && len(text) <= 128
}

// subresource of a patch.
func (a Action) subresource() string {
	if a.status {
		return "status"
	}
	return ""
}

// MarshalJSON writes it as the server does, and as answer in the cases of `verdict test` has it: one field, whose name says what is to
// be done.
func (a Action) MarshalJSON() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	switch a.form {
	case againAfter:
		return json.Marshal(map[string]uint32{"againAfter": a.seconds})
	case event:
		kind := "Normal"
		if a.warning {
			kind = "Warning"
		}
		return json.Marshal(map[string]any{"event": map[string]string{"type": kind, "reason": a.reason, "note": a.note}})
	case apply:
		return json.Marshal(map[string]policy.JSON{"apply": a.text})
	case deletion:
		return json.Marshal(map[string]Key{"delete": a.key})
	}
	patch := struct {
		Key
		Type        string      `json:"type"`
		Subresource string      `json:"subresource,omitempty"`
		Patch       policy.JSON `json:"patch"`
	}{a.key, "MergePatch", a.subresource(), a.text}
	if a.form == jsonPatch {
		patch.Type = "JsonPatch"
	}
	return json.Marshal(map[string]any{"patch": patch})
}

// longest wait, in seconds.
const longest = 86_400
