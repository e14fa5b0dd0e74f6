package changes

import (
	"unsafe"

	"verdict.dev/policy"
	"verdict.dev/policy/internal/abi"
	"verdict.dev/policy/internal/exports"
)

func init() { exports.Expect("changes", func() bool { return handle != nil }) }

var types = [...]Type{Added, Modified, Deleted}

//go:wasmexport verdict:events/changes@1.0.0#handle
func export(kind, object, length, known, old, oldLength, replayed uint32) unsafe.Pointer {
	defer abi.Enter()()
	change := &Change{Type: types[kind], Object: abi.Text{Data: object, Length: length}.Bytes(), Replayed: replayed != 0}
	if known != 0 {
		change.OldObject = abi.Text{Data: old, Length: oldLength}.Bytes()
	}
	abi.Taken()
	actions, err := Ask(change)
	if err != nil {
		return abi.Fail(abi.Pass(err.Error()))
	}
	all := make([]action, len(actions))
	for at, one := range actions {
		all[at].pass(one)
	}
	return abi.Answer(abi.PassList(all))
}

// action is a variant, whose cases lie at the same place: the largest is a patch.
type action struct {
	tag   uint8
	value objectPatch
}

type objectKey struct{ apiVersion, kind, namespace, name abi.Text }

type objectPatch struct {
	key         objectKey
	kind        uint8
	patch       abi.Text
	subresource abi.Text
}

type objectEvent struct {
	kind         uint8
	reason, note abi.Text
}

func (a *action) pass(one Action) {
	value := unsafe.Pointer(&a.value)
	switch one.form {
	case againAfter:
		a.tag, *(*uint32)(value) = 0, one.seconds
	case event:
		passed := objectEvent{reason: abi.Pass(one.reason), note: abi.Pass(one.note)}
		if one.warning {
			passed.kind = 1
		}
		a.tag, *(*objectEvent)(value) = 1, passed
	case apply:
		a.tag, *(*abi.Text)(value) = 2, text(one.text)
	case jsonPatch, mergePatch:
		a.tag = 3
		a.value = objectPatch{key: key(one.key), patch: text(one.text), subresource: abi.Pass(one.subresource())}
		if one.form == mergePatch {
			a.value.kind = 1
		}
	case deletion:
		a.tag, *(*objectKey)(value) = 4, key(one.key)
	}
}

func key(k Key) objectKey {
	return objectKey{abi.Pass(k.APIVersion), abi.Pass(k.Kind), abi.Pass(k.Namespace), abi.Pass(k.Name)}
}

func text(json policy.JSON) abi.Text { return abi.Pass(string(json)) }
